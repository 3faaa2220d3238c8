// The way in from other machines: node test/login.mjs SETUP-LINK. The page asks for a password, which is good from then on.
import assert from 'node:assert/strict';
import { withBrowser } from './browser.mjs';

const [link] = process.argv.slice(2);
await withBrowser(async (context, complaints) => {
  const page = await context.newPage();
  await page.goto(link);
  await page.getByText('needs a password').waitFor();
  await page.fill('input[name=password]', 'correct horse battery');
  await page.getByRole('button', { name: 'Set password and open' }).click();
  await page.waitForSelector('.witnesses li');
  assert.equal(new URL(page.url()).hash, '');
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.name.startsWith('__Host-'), cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, true, 'Strict']);

  await page.getByRole('button', { name: 'log out' }).click();
  await page.waitForSelector('input[name=name]');
  assert.deepEqual(complaints.splice(0), []);
  await page.fill('input[name=name]', 'admin');
  await page.fill('input[name=password]', 'wrong horse');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('name or password is wrong').waitFor();
  assert.ok(complaints.splice(0).every((c) => /401/.test(c)));
  await page.fill('input[name=password]', 'correct horse battery');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForSelector('.witnesses li');
  assert.deepEqual(complaints, []);
}, { ignoreHTTPSErrors: true });
