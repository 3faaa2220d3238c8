// Starts Debian's Chromium with a fresh profile, and collects what it complains about.
import { chromium } from 'playwright-core';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Calls use(context, complaints); complaints holds errors of pages and breaches of the content policy. */
export async function withBrowser(use, { args = [], ...options } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'tallyman-page-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: [...flags, ...args],
    viewport: { width: 1280, height: 800 }, timezoneId: 'America/New_York', ...options,
  });
  const complaints = [];
  context.on('page', (page) => {
    page.on('pageerror', (err) => complaints.push(`error: ${err.message}`));
    page.on('console', (m) => {
      if (m.type() === 'error' || /Content Security Policy/.test(m.text())) complaints.push(`console: ${m.text()}`);
    });
  });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI}`));
  });
  try {
    await use(context, complaints);
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}
