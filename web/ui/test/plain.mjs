// The page without JavaScript: node test/plain.mjs PAGE-URL SETUP-CODE. The name in the URL is none that browsers trust without TLS.
import assert from 'node:assert/strict';
import { withBrowser } from './browser.mjs';

const [url, code] = process.argv.slice(2);
await withBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole('link', { name: 'a plain list of transfers' }).click();
  await page.fill('input[name=link]', code);
  await page.fill('input[name=password]', 'correct horse battery');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.waitForSelector('tbody tr');
  assert.equal(new URL(page.url()).pathname, '/plain');
  assert.equal(await page.locator('img').count(), 0); // the name that wants to be one
  assert.ok(await page.getByText('<img src=x onerror=alert(1)>').isVisible());

  await page.fill('input[name=q]', 'verdict:failed');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/q=verdict/);
  assert.ok((await page.locator('tbody tr td:nth-child(2)').allTextContents()).every((t) => t.startsWith('failed')));
  await page.locator('tbody a').first().click();
  await page.getByRole('heading', { name: 'Evidence' }).waitFor();
  await page.goto(new URL('/nothing', url).href);
  await page.getByText('there is nothing at /nothing').waitFor();
  await page.goto(new URL('/plain', url).href);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.fill('input[name=name]', 'admin');
  await page.fill('input[name=password]', 'wrong horse');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('name or password is wrong').waitFor();
}, { javaScriptEnabled: false, args: ['--host-resolver-rules=MAP tally.test 127.0.0.1'] });
