// The list of transfers: one page from the ledger, older pages as the reader scrolls, newer rows from the live stream.
import { batch } from '@preact/signals';
import { get, Problem } from './api';
import { asked, failed, from, loading, more, paused, problem, rows, to, waiting } from './state';
import type { Transfer } from './words';

const pageSize = 200;
const most = 5000; // rows that are kept while the list follows the stream

const known = new Map<string, Transfer>();
let held: Transfer[] = []; // what came while the reader had scrolled
let next = '';
let running: AbortController | undefined;

interface Page { transfers: Transfer[]; next?: string }

const newer = (a: Transfer, b: Transfer): number => (a.start < b.start ? 1 : a.start > b.start ? -1 : a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

/** Loads the newest page for the filter of now, and says whether it is there. What stands in the list stays until then. */
export async function reload(): Promise<boolean> {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  loading.value = true;
  try {
    const page = await get<Page>('transfers', { q: asked.value, from: from.value, to: to.value, limit: pageSize }, mine.signal);
    batch(() => {
      known.clear();
      held = [];
      for (const t of page.transfers) known.set(t.id, t);
      rows.value = page.transfers;
      next = page.next ?? '';
      more.value = next !== '';
      waiting.value = 0;
      problem.value = undefined;
    });
    return true;
  } catch (err) {
    if (mine.signal.aborted) return false;
    failed(err);
    problem.value = err instanceof Problem ? err : new Problem(0, { error: 'the server does not answer: is it still running?' });
    return false;
  } finally {
    if (running === mine) {
      running = undefined;
      loading.value = false;
    }
  }
}

/** Loads the page behind the last row. */
export async function older(): Promise<void> {
  const last = rows.value.at(-1);
  if (loading.value || !more.value || !last) return;
  loading.value = true;
  const mine = new AbortController();
  running = mine;
  try {
    // After rows were cut off the end there is no cursor: then the time of the last row asks, and rows that are known are left away.
    const place = next ? { after: next, to: to.value } : { to: new Date(Date.parse(last.start) + 1).toISOString() };
    const page = await get<Page>('transfers', { q: asked.value, from: from.value, limit: pageSize, ...place }, mine.signal);
    const fresh = page.transfers.filter((t) => !known.has(t.id));
    batch(() => {
      for (const t of fresh) known.set(t.id, t);
      rows.value = [...rows.value, ...fresh];
      next = page.next ?? '';
      more.value = next !== '';
    });
  } catch (err) {
    if (!mine.signal.aborted) failed(err);
  } finally {
    if (running === mine) {
      running = undefined;
      loading.value = false;
    }
  }
}

/** Takes what the stream brought: amends rows in place, adds new ones on top or, while the reader has scrolled, keeps them for later. */
export function take(news: Transfer[], gone: Set<string>): void {
  let changed = gone.size > 0;
  const fresh: Transfer[] = [];
  for (const t of news) {
    const old = known.get(t.id);
    if (t.merged) gone.add(t.id);
    else if (old && old.rev >= t.rev) continue;
    else if (old) known.set(t.id, t);
    else if (inTime(t)) {
      known.set(t.id, t);
      fresh.push(t);
    } else continue;
    changed = true;
  }
  if (!changed) return;
  for (const id of gone) known.delete(id);
  const current = rows.value.filter((t) => known.has(t.id)).map((t) => known.get(t.id) ?? t);
  held = held.filter((t) => known.has(t.id)).map((t) => known.get(t.id) ?? t);
  batch(() => {
    if (paused.value) {
      held.push(...fresh);
      rows.value = current;
      waiting.value = held.length;
    } else {
      show(current, fresh);
    }
  });
}

/** Puts the held rows on top and follows the stream again. */
export function follow(): void {
  batch(() => {
    paused.value = false;
    const fresh = held;
    held = [];
    waiting.value = 0;
    show(rows.value, fresh);
  });
}

function show(current: Transfer[], fresh: Transfer[]): void {
  let all = fresh.length ? [...fresh, ...current].sort(newer) : current;
  if (all.length > most) {
    for (const t of all.slice(most / 2)) known.delete(t.id);
    all = all.slice(0, most / 2);
    next = '';
    more.value = true;
  }
  rows.value = all;
}

/** A list with a fixed end takes no newer rows. */
function inTime(t: Transfer): boolean {
  const end = to.value && to.value !== 'now' ? Date.parse(to.value) : NaN;
  return Number.isNaN(end) || Date.parse(t.start) < end;
}
