// What a person sees: node test/page.mjs SETUP-LINK CONTROL-URL. CONTROL-URL/give?name=N&verdict=V makes a transfer happen and answers its
// id; CONTROL-URL/cut cuts the line to the server until CONTROL-URL/mend. CONTROL-URL/flood?n=&per= makes n of
// them, so many a second. With SHOTS=FOLDER it leaves pictures there.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { withBrowser } from './browser.mjs';

const [link, control] = process.argv.slice(2);
const origin = new URL(link).origin;
const axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const row = '.row:not(.heads)';
const hostile = '<img src=x onerror=document.title="owned">\n\x1b[31m\u202e';

await withBrowser(async (context, complaints) => {
  const page = await context.newPage();
  const fact = async (what, check) => {
    await check();
    console.log(`ok  ${what}`);
  };
  const give = async (name, verdict = '') => (await fetch(`${control}/give?${new URLSearchParams({ name, verdict })}`)).text();
  const picture = async (name) => {
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
  };
  const accessible = async (what) => {
    // The tester's own script is not under the page's policy: it is evaluated by the debugger, not loaded.
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const told = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`);
    assert.deepEqual(told, [], `axe: ${what}`);
  };

  await fact('the page without a session says how to get in', async () => {
    await page.goto(origin);
    await page.getByText('Open the set-up link').waitFor();
    await accessible('login');
    await picture('login');
    assert.match(complaints.splice(0).join(), /^$/);
  });

  await fact('the set-up link logs in and leaves the address bar', async () => {
    await page.goto('about:blank');
    await page.goto(link);
    await page.waitForSelector(row);
    assert.equal(new URL(page.url()).hash, '');
    assert.equal(await page.locator('h1').count(), 1);
  });

  await fact('the head says which witnesses are live, in words', async () => {
    await page.waitForSelector('.witnesses li');
    const told = await page.locator('.witnesses li').allInnerTexts();
    assert.ok(told.some((t) => /server\s+live/.test(t)), told.join());
    assert.ok(told.some((t) => /log\s+cannot see/.test(t)), told.join());
  });

  await fact('a transfer appears on top without reload', async () => {
    await page.evaluate(() => (globalThis.same = true));
    await give('live-one');
    await page.waitForFunction(() => document.querySelector('.row:not(.heads) .c-file')?.textContent === 'live-one');
    assert.equal(await page.evaluate(() => globalThis.same), true);
  });

  await fact('a running transfer is shown, and amended in place when it ends', async () => {
    const id = await give('long-one', 'active');
    await page.waitForSelector(`${row}.v-active`);
    await fetch(`${control}/end?id=${id}`);
    await page.waitForFunction(() => !document.querySelector('.row.v-active'));
    assert.equal(await page.locator(`${row} a[href="?id=${id}"]`).count(), 1);
  });

  await fact('a hostile name stays text, in the list and in the why', async () => {
    const id = await give(hostile);
    const cell = page.locator(`${row} a[href="?id=${id}"]`);
    await cell.waitFor();
    const shown = '<img src=x onerror=document.title="owned">\\n\\x1b[31m\\u202e';
    assert.equal(await cell.textContent(), shown);
    await cell.click();
    await page.waitForFunction((text) => document.querySelector('.why .name')?.textContent === text, shown);
    assert.equal(await page.locator('#app img').count(), 0);
    assert.notEqual(await page.title(), 'owned');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.why', { state: 'detached' });
  });

  await fact('the why has a sentence, a lane for each witness, and what they said', async () => {
    await page.locator(`${row}.v-contradicted .c-file a`).first().click();
    await page.waitForSelector('.lanes');
    assert.match(await page.locator('.sentence').innerText(), /witnesses contradict each other/);
    const lanes = await page.locator('.lanes th.lane').allInnerTexts();
    assert.deepEqual(lanes.slice(0, 2), ['server', 'files']);
    assert.ok((await page.locator('.lanes tbody tr').count()) >= 4);
    assert.match(await page.locator('.lanes pre').first().innerText(), /^RRQ /);
    assert.match(page.url(), /[?&]id=/);
    await accessible('why');
  });

  await fact('the why of an unproven transfer names the evidence that is missing', async () => {
    await page.locator(`${row}.v-unproven .c-file a`).first().click();
    await page.waitForSelector('.missing');
    assert.match(await page.locator('.missing').innerText(), /acknowledgement of the last block/);
    await page.goBack();
    await page.waitForFunction(() => /contradict/.test(document.querySelector('.sentence')?.textContent ?? ''));
  });

  const of = async (name, verdict) => {
    await page.keyboard.press('Escape');
    await page.fill('#q', `file:${name} verdict:${verdict} client:127.0.0.1`);
    await page.keyboard.press('Enter');
    await page.waitForFunction(([n, v]) => [...document.querySelectorAll('.row:not(.heads)')].length > 0
      && [...document.querySelectorAll('.row:not(.heads)')].every((r) => r.classList.contains(`v-${v}`) && r.querySelector('.c-file').textContent === n), [name, verdict]);
    await page.locator(`${row} .c-file a`).first().click();
    await page.waitForFunction((n) => document.querySelector('.why .name')?.textContent === n && document.querySelector('.testimony'), name);
  };
  const lane = (name) => page.locator('.testimony li', { has: page.locator(`b:text-is("${name}")`) });

  await fact('each witness of a watched server has a lane: what it says alone, what it saw, who is against, what is missing', async () => {
    await of('toobig.bin', 'contradicted');
    assert.match(await lane('wire').innerText(), /complete[\s\S]*2,104 packets, the last .* after the first[\s\S]*1,051 of 1,428 bytes sent[\s\S]*asked blksize=1428, granted blksize=1428[\s\S]*1,500,000 confirmed/);
    assert.match(await lane('files').innerText(), /against[\s\S]*on the disk it is 1,048,576 bytes, and 1,500,000 came[\s\S]*in\.tftpd\[\d+\], as nobody/);
    assert.match(await lane('log').innerText(), /says nothing[\s\S]*tftpd-hpa runs without -vv[\s\S]*add -vv to TFTP_OPTIONS/);
    assert.deepEqual(await page.locator('.lanes th.lane').allInnerTexts(), ['wire', 'files', 'log']);
    await of('killed.tar', 'failed');
    assert.match(await lane('log').innerText(), /against[\s\S]*claims that it went well/);
    assert.match(await lane('wire').innerText(), /failed[\s\S]*packets on [\d.:>]+, passive/);
    assert.match(await page.locator('.lanes pre').allInnerTexts().then((all) => all.join('\n')), /OK UPLOAD: Client "127\.0\.0\.1"/);
    await of('image', 'failed');
    assert.match(await lane('wire').innerText(), /the client fell silent[\s\S]*then silence for 3\d\.\d s[\s\S]*5 retransmitted/);
    await of('private', 'refused');
    assert.match(await lane('wire').innerText(), /refused/);
    await of('locked.cfg', 'failed');
    assert.match(await lane('files').innerText(), /neither read nor changed/);
  });

  await fact('what log and files agree on is probably whole, in list and why, and never more than unproven', async () => {
    await of('router-confg', 'unproven');
    assert.match(await page.locator(`${row} .c-reason`).first().textContent(), /^probably whole/);
    assert.match(await page.locator('.whyhead').innerText(), /unproven[\s\S]*probably whole/);
    assert.match(await page.locator('.missing').innerText(), /the capture was not allowed \(needs CAP_NET_RAW\)[\s\S]*setcap cap_net_raw/);
    assert.match(await lane('wire').innerText(), /did not see/);
  });

  await fact('lanes are readable at 1280 and 390 px, light and dark, and nothing sticks out', async () => {
    for (const name of ['toobig.bin contradicted', 'killed.tar failed', 'router-confg unproven', 'router-confg complete']) {
      await page.setViewportSize({ width: 1280, height: 1700 });
      await of(...name.split(' '));
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 1700 });
          const out = await page.evaluate(() => [...document.querySelectorAll('.why *')].filter((el) => el.getBoundingClientRect().right > innerWidth + 1 && !el.closest('.hidden')).map((el) => el.className || el.tagName));
          assert.deepEqual(out, [], `${name} ${width}`);
          await accessible(`lanes ${name} ${colorScheme} ${width}`);
          await picture(`lanes-${name.replace(' ', '-')}-${colorScheme}-${width}`);
        }
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.keyboard.press('Escape');
    await page.fill('#q', '');
    await page.waitForSelector(`${row}.v-complete`);
  });

  await fact('events are listed with who and what, newest first, and a query filters them', async () => {
    await page.getByRole('button', { name: 'Events', exact: true }).click();
    await page.waitForSelector('.events tbody tr');
    assert.match(page.url(), /[?&]view=events/);
    const told = await page.locator('.events tbody tr').allInnerTexts();
    assert.equal(told.length, 5);
    assert.match(told[0], /flow[\s\S]*lu at 192\.0\.2\.66[\s\S]*bounce PORT 10,9,9,9,0,80/);
    assert.match(told.join('\n'), /login-failed[\s\S]*530 Login incorrect\./);
    assert.match(told.join('\n'), /SITE EXEC <b>ls<\/b>/);
    assert.match(told.join('\n'), /the kernel dropped packets, from .* 4,200 lost/);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const [width, height] of [[1280, 800], [390, 844]]) {
        await page.setViewportSize({ width, height });
        await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth); // nothing sticks out, once the chart is drawn anew
        await accessible(`events ${colorScheme} ${width}`);
        await picture(`events-${colorScheme}-${width}`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.fill('#q', 'kind:login');
    await page.waitForFunction(() => document.querySelectorAll('.events tbody tr').length === 1);
    assert.match(await page.locator('.events tbody').innerText(), /logged in/);
    await page.fill('#q', '');
    await page.getByRole('button', { name: 'Transfers', exact: true }).click();
    await page.waitForSelector(`${row}.v-complete`);
    await page.evaluate(() => document.activeElement.blur());
  });

  await fact('keys: / j k Enter Esc ?', async () => {
    await page.keyboard.press('Escape');
    await page.waitForSelector('.why', { state: 'detached' });
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.why .sentence');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.why', { state: 'detached' });
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await accessible('help');
    await picture('help');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'q');
  });

  await fact('a query filters list and stream, and stands in the URL', async () => {
    await page.fill('#q', 'verdict:failed');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.row.v-complete').length === 0 && document.querySelector('.row.v-failed'));
    assert.match(page.url(), /q=verdict%3Afailed/);
    await give('not-for-this-list');
    await give('for-this-list', 'failed');
    await page.waitForFunction(() => document.querySelector('.row:not(.heads) .c-file')?.textContent === 'for-this-list');
    assert.equal(await page.getByText('not-for-this-list').count(), 0);
  });

  await fact('an error in the query is shown with a caret', async () => {
    await page.fill('#q', 'verdict:failed colour:red');
    await page.waitForSelector('div.error pre');
    assert.match(await page.locator('div.error pre').innerText(), /\n {15}\^{6}/);
    await accessible('query error');
    await picture('error');
    assert.ok(complaints.splice(0).every((c) => /400/.test(c)), 'the answer 400 and nothing else is complained about');
    await page.fill('#q', 'file:nothing-has-this-name');
    await page.getByText('No transfer matches').waitFor();
    await page.fill('#q', '');
    await page.waitForSelector(`${row}.v-complete`);
  });

  await fact('the list pauses while the reader has scrolled', async () => {
    await page.locator('.scroll').evaluate((el) => (el.scrollTop = 400));
    await page.waitForSelector('.tolive');
    const before = await page.locator(`${row} .c-file`).first().innerText();
    await give('while-away');
    await page.waitForFunction(() => /1 new/.test(document.querySelector('.tolive')?.textContent ?? ''));
    assert.equal(await page.locator(`${row} .c-file`).first().innerText(), before);
    await picture('paused');
    await page.click('.tolive');
    await page.waitForFunction(() => document.querySelector('.row:not(.heads) .c-file')?.textContent === 'while-away');
  });

  await fact('the list holds all records and draws only those that can be seen', async () => {
    await page.waitForFunction(() => {
      const el = document.querySelector('.scroll');
      el.scrollTop = el.scrollHeight; // each page that comes makes it longer
      return Number(el.getAttribute('aria-rowcount')) > 500;
    });
    assert.ok((await page.locator(row).count()) < 60);
    await page.locator('.scroll').evaluate((el) => (el.scrollTop = 0));
    await page.waitForSelector('.tolive', { state: 'detached' });
  });

  await fact('the chart has a table, and tiles count the last 24 hours', async () => {
    await page.getByRole('button', { name: 'table' }).click();
    assert.ok((await page.locator('.hourtable tbody tr').count()) > 10);
    await accessible('table of hours');
    await page.getByRole('button', { name: 'chart' }).click();
    await page.waitForSelector('.plot canvas');
    await page.waitForFunction(() => Number(document.querySelector('.tile strong')?.textContent) > 500);
  });

  await fact('times are UTC, or local when asked', async () => {
    const hour = async () => (await page.locator(`${row} time`).first().innerText()).slice(11, 13);
    const inUTC = await hour();
    await page.getByRole('button', { name: 'UTC' }).click();
    assert.notEqual(await hour(), inUTC); // the browser lives in New York
    await page.getByRole('button', { name: 'local time' }).click();
    assert.equal(await hour(), inUTC);
  });

  await fact('no violation found by axe at 1280 and 390 px, light and dark; at 390 px the file name is visible', async () => {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const [width, height] of [[1280, 800], [390, 844]]) {
        await page.setViewportSize({ width, height });
        await page.waitForFunction((h) => document.querySelector('.row:not(.heads)')?.clientHeight === h, width > 760 ? 30 : 62);
        const box = await page.locator(`${row} .c-file`).first().boundingBox();
        assert.ok(box && box.width > 120 && box.x + box.width <= width, JSON.stringify(box));
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out at the side');
        await accessible(`${colorScheme} ${width}`);
        await picture(`${colorScheme}-${width}`);
        await page.locator(`${row} .c-file a`).nth(1).click();
        await page.waitForSelector('.lanes');
        await accessible(`why ${colorScheme} ${width}`);
        await picture(`${colorScheme}-${width}-why`);
        await page.keyboard.press('Escape');
        await page.waitForSelector('.why', { state: 'detached' });
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await fact('at 200 transfers a second the page keeps up', async () => {
    const cdp = await context.newCDPSession(page);
    await cdp.send('Performance.enable');
    const busy = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value;
    const [before, begin] = [await busy(), performance.now()];
    await fetch(`${control}/flood?n=1600&per=200`);
    await page.waitForFunction(() => document.querySelector('.row:not(.heads) .c-file')?.textContent === 'flood-1599');
    const share = (1000 * (await busy() - before)) / (performance.now() - begin);
    console.log(`    main thread busy ${(100 * share).toFixed(1)} %`);
    assert.ok(share < 0.9);
  });

  await fact('a banner says when the stream breaks, and what was missed comes when it is back', async () => {
    assert.deepEqual(complaints.splice(0), []);
    await fetch(`${control}/cut`);
    await page.waitForSelector('.banner');
    await accessible('banner');
    await picture('stale');
    await give('while-cut');
    await fetch(`${control}/mend`);
    await page.waitForSelector('.banner', { state: 'detached' });
    await page.waitForFunction(() => document.querySelector('.row:not(.heads) .c-file')?.textContent === 'while-cut');
    complaints.splice(0); // the browser complained about the refused connections
  });

  await fact('nothing broke the content policy, no script failed', async () => assert.deepEqual(complaints, []));
});
