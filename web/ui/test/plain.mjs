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
  // What each witness says alone, who is against, and what would bring the evidence that is missing.
  await page.goto(new URL('/plain?q=file:toobig.bin', url).href);
  await page.locator('tbody a').first().click();
  const lane = (name) => page.locator('table.lanes > tbody > tr', { has: page.locator(`td:first-child:text-is("${name}")`) });
  assert.match(await lane('wire').innerText(), /complete \(final-ack\)[\s\S]*2,104 packets[\s\S]*1,500,000 confirmed/);
  assert.match(await lane('files').innerText(), /against[\s\S]*1,048,576 bytes/);
  assert.match(await lane('log').innerText(), /says nothing[\s\S]*without -vv[\s\S]*→ add -vv to TFTP_OPTIONS/);
  await page.goto(new URL('/plain?q=file:router-confg%20verdict:unproven%20proto:tftp%20-client:10.0.0.0/8', url).href);
  assert.match(await page.locator('tbody tr').first().innerText(), /unproven \(probably whole\)/);
  await page.locator('tbody a').first().click();
  assert.ok(await page.getByText('Missing: no packets: the capture was not allowed (needs CAP_NET_RAW)').first().isVisible());
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/plain-why.png`, fullPage: true });
  await page.goto(new URL('/nothing', url).href);
  await page.getByText('there is nothing at /nothing').waitFor();
  await page.goto(new URL('/plain', url).href);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.fill('input[name=name]', 'admin');
  await page.fill('input[name=password]', 'wrong horse');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('name or password is wrong').waitFor();
}, { javaScriptEnabled: false, args: ['--host-resolver-rules=MAP tally.test 127.0.0.1'] });
