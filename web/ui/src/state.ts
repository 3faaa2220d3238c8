// What the page knows. The part that a link should carry stands in the URL: q, from, to, view, id.
import { batch, computed, effect, signal } from '@preact/signals';
import { get, Problem } from './api';
import type { Stat, System, Told, Transfer, Words } from './words';

const at = new URLSearchParams(location.search);
export const q = signal(at.get('q') ?? '');
export const from = signal(at.get('from') ?? 'now-24h');
export const to = signal(at.get('to') ?? '');
export const open = signal(at.get('id') ?? '');
const viewOf = (u: URLSearchParams): string => (['events', 'mounts'].includes(u.get('view') ?? '') ? (u.get('view') ?? '') : '');
export const view = signal(viewOf(at)); // which list is shown; '' is that of transfers

export const utc = signal(localStorage.getItem('tallyman.time') !== 'local');
export const theme = signal(localStorage.getItem('tallyman.theme') ?? 'auto');

/** undefined: not yet known; '': somebody is logged in; else what is missing. */
export const needs = signal<string | undefined>(undefined);
export const choosePassword = signal(false);
export const user = signal('');

export const reasons = signal<ReadonlyMap<string, Words['reasons'][0]>>(new Map());
export const system = signal<System | undefined>(undefined);
export const byVerdict = signal<Stat[]>([]);
export const byHour = signal<Stat[]>([]);

export const happened = signal(0); // grows with each event, gap and finding of the live stream
export const stale = signal(''); // when the live stream broke; '' while it is whole
export const rows = signal<Transfer[]>([]); // newest first
export const loading = signal(true);
export const more = signal(false); // older records match
export const paused = signal(false); // the reader has scrolled: new rows wait
export const waiting = signal(0);
export const problem = signal<Problem | undefined>(undefined);
export const picked = signal(''); // the record that j and k move from
export const reveal = signal<{ at: number } | undefined>(undefined); // a row that the keys reached, to be scrolled into sight
export const told = signal<Told | undefined>(undefined);
export const help = signal(false);

/** The chart follows the list's range from a day up. */
export const chartFrom = computed(() => (/^now-(\d+[dw]|24h)$/.test(from.value) ? from.value : 'now-24h'));

/** What the list asks for. Clients list folders far more often than they fetch files: without a filter listings are left out. */
export const asked = computed(() => q.value.trim() || '-op:list');

export const filtered = computed(() => q.value.trim() !== '');

/** Writes what a link should carry into the URL. Only opening a record makes a step of the browser's history. */
let shown = open.peek();
effect(() => {
  const u = new URLSearchParams();
  if (q.value) u.set('q', q.value);
  if (from.value !== 'now-24h') u.set('from', from.value);
  if (to.value) u.set('to', to.value);
  if (view.value) u.set('view', view.value);
  if (open.value) u.set('id', open.value);
  const text = u.toString();
  const next = location.pathname + (text ? '?' + text : '') + location.hash;
  if (next === location.pathname + location.search + location.hash) return;
  if (open.value !== shown) history.pushState(null, '', next);
  else history.replaceState(null, '', next);
  shown = open.value;
});

addEventListener('popstate', () => {
  const u = new URLSearchParams(location.search);
  batch(() => {
    shown = u.get('id') ?? '';
    open.value = shown;
    q.value = u.get('q') ?? '';
    from.value = u.get('from') ?? 'now-24h';
    to.value = u.get('to') ?? '';
    view.value = viewOf(u);
  });
});

effect(() => localStorage.setItem('tallyman.time', utc.value ? 'utc' : 'local'));
effect(() => {
  localStorage.setItem('tallyman.theme', theme.value);
  document.documentElement.dataset['theme'] = theme.value;
});

/** Any call may find that the session has ended. */
export function failed(err: unknown): void {
  if (err instanceof Problem && err.status === 401) {
    needs.value = err.needs || 'login';
    void whoAmI();
  }
}

export async function whoAmI(): Promise<void> {
  const a = await get<{ name?: string; needs?: string; choose_password?: boolean }>('login');
  batch(() => {
    user.value = a.name ?? '';
    needs.value = a.name ? '' : a.needs ?? 'login';
    choosePassword.value = a.choose_password ?? false;
  });
}

/** Loads what the reasons mean; until then rows show the code. */
export async function learn(): Promise<void> {
  try {
    const w = await get<Words>('words');
    reasons.value = new Map(w.reasons.map((r) => [r.reason, r]));
  } catch (err) {
    failed(err);
  }
}
