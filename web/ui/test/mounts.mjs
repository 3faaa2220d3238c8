// A stick comes and goes: node test/mounts.mjs SETUP-LINK CONTROL-URL. CONTROL-URL/mount plugs it in, CONTROL-URL/unmount pulls it out. With SHOTS=FOLDER it
// leaves pictures there.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { withBrowser } from './browser.mjs';

const [link, control] = process.argv.slice(2);
const axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

await withBrowser(async (context) => {
  const page = await context.newPage();
  const fact = async (what, check) => {
    await check();
    console.log(`ok  ${what}`);
  };
  const rows = () => page.locator('.events tbody tr').allInnerTexts();
  const within = async (what, began) => {
    const took = Date.now() - began;
    assert.ok(took < 1000, `${what} after ${took} ms`);
    console.log(`    ${what} after ${took} ms`);
  };

  await fact('the list of mounts stands beside transfers and events, what can leave the machine first', async () => {
    await page.goto(link);
    await page.getByRole('button', { name: 'Mounts', exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll('.mounts tbody tr').length === 2);
    assert.match(page.url(), /[?&]view=mounts/);
    assert.match((await rows())[0], /network[\s\S]*\/mnt\/nas nfs:nas:\/x/);
  });

  await fact('a stick appears within a second, with device and label', async () => {
    const began = Date.now();
    await fetch(`${control}/mount`);
    await page.waitForFunction(() => document.querySelectorAll('.mounts tbody tr').length === 3);
    await within('the mount is in the list', began);
    assert.match((await rows())[0], /removable[\s\S]*ann[\s\S]*\/media\/<b>stick<\/b> usb:4C53 SanDisk Ultra "STICK" \(\/dev\/sdb1\)[\s\S]*vfat/);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const [width, height] of [[1280, 800], [390, 844]]) {
        await page.setViewportSize({ width, height });
        await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth); // nothing sticks out
        await page.evaluate(axe);
        const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
        assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.failureSummary).join('; ')}`), [], `axe ${colorScheme} ${width}`);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/mounts-${colorScheme}-${width}.png` });
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await fact('among the events its end appears within a second', async () => {
    await page.getByRole('button', { name: 'Events', exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll('.events tbody tr').length === 1);
    const began = Date.now();
    await fetch(`${control}/unmount`);
    await page.waitForFunction(() => document.querySelectorAll('.events tbody tr').length === 2);
    await within('the unmount is in the list', began);
    assert.match((await rows())[0], /unmount[\s\S]*\/media\/<b>stick<\/b> removable usb:4C53 SanDisk Ultra "STICK": unmounted, vfat of \/dev\/sdb1[\s\S]*mounts/);
  });
});
