// One live stream a tab. Events are collected and shown once a frame.
import { get, Problem, url } from './api';
import { reload, take } from './list';
import { asked, byHour, byVerdict, chartFrom, failed, happened, open, problem, stale, system, told, whoAmI } from './state';
import type { Stat, System, Told, Transfer } from './words';

let source: EventSource | undefined;
let news = new Map<string, Transfer>();
let gone = new Set<string>();
let drawing = false;
let lastHeard = 0;

/** Loads the list for the filter of now, then opens the stream, which repeats its newest records: nothing falls between the two. */
export async function start(): Promise<void> {
  source?.close();
  source = undefined;
  if (await reload()) connect();
  else if (problem.peek()?.status === 0) setTimeout(() => source || void start(), 3000);
}

function connect(): void {
  source = new EventSource(url('stream', { q: asked.value, last: 100 }));
  const mine = source;
  lastHeard = Date.now();
  mine.onopen = () => {
    stale.value = '';
    lastHeard = Date.now();
    void counts();
  };
  mine.onerror = () => {
    if (source !== mine) return;
    if (!stale.value) stale.value = new Date().toISOString();
    if (mine.readyState === EventSource.CLOSED) {
      source = undefined;
      const again = (): unknown => setTimeout(() => source || void start(), 3000);
      void whoAmI().then(again, again);
    }
  };
  on(mine, 'transfer', (t: Transfer) => {
    gone.delete(t.id);
    news.set(t.id, t);
  });
  on(mine, 'leave', (x: { id: string; rev: number }) => {
    news.delete(x.id);
    gone.add(x.id);
  });
  for (const name of ['event', 'gap', 'finding']) on(mine, name, beside);
  on(mine, 'system', (s: System) => (system.value = s));
  on(mine, 'resync', () => void reload());
}

let coming: number | undefined;

/** Lists of events are loaded anew once for what comes within a tenth of a second. */
function beside(): void {
  coming ??= window.setTimeout(() => {
    coming = undefined;
    happened.value++;
  }, 100);
}

function on<T>(s: EventSource, name: string, each: (x: T) => void): void {
  s.addEventListener(name, (e) => {
    if (s !== source) return;
    lastHeard = Date.now();
    each(JSON.parse((e as MessageEvent<string>).data) as T);
    if (news.size + gone.size > 0) draw();
  });
}

/** Once a frame; a hidden tab gets no frames and draws once a second. */
function draw(): void {
  if (drawing) return;
  drawing = true;
  const now = (): void => {
    drawing = false;
    const [n, g] = [news, gone];
    [news, gone] = [new Map(), new Set()];
    take([...n.values()], g);
    const t = n.get(open.value);
    if (t && t.rev > (told.value?.transfer.rev ?? 0)) void why();
    soon();
  };
  if (document.hidden) setTimeout(now, 1000);
  else requestAnimationFrame(now);
}

/** The server speaks at least every five seconds: silence means that the stream is dead, even if nobody said so. */
setInterval(() => {
  if (source && !stale.value && Date.now() - lastHeard > 16_000) {
    stale.value = new Date(lastHeard).toISOString();
    void start();
  }
}, 4000);

/** Browsers give a site six connections (HTTP/1.1): a tab that nobody sees gives its own back, and begins anew when it is looked at. */
let resting: number | undefined;
document.addEventListener('visibilitychange', () => {
  clearTimeout(resting);
  if (document.hidden) {
    resting = window.setTimeout(() => {
      source?.close();
      source = undefined;
      resting = -1;
    }, 30_000);
  } else if (resting === -1) {
    resting = undefined;
    void start();
  }
});

let due: number | undefined;

/** Asks for the counts again, at most every two seconds. */
function soon(): void {
  due ??= window.setTimeout(() => {
    due = undefined;
    void counts();
  }, 2000);
}

export async function counts(): Promise<void> {
  try {
    const [v, h] = await Promise.all([
      get<{ stats: Stat[] }>('stats', { by: 'verdict', from: 'now-24h' }),
      get<{ stats: Stat[] }>('stats', { by: 'hour', from: chartFrom.value }),
    ]);
    byVerdict.value = v.stats;
    byHour.value = h.stats;
  } catch (err) {
    failed(err);
  }
}
setInterval(() => source && void counts(), 60_000);

/** Loads the record that is open, with its evidence. */
export async function why(): Promise<void> {
  const id = open.value;
  if (!id) {
    told.value = undefined;
    return;
  }
  try {
    const t = await get<Told>(`transfers/${encodeURIComponent(id)}`);
    if (open.value === id) told.value = t;
  } catch (err) {
    failed(err);
    const text = err instanceof Problem ? err.message : 'the server does not answer';
    if (open.value === id) told.value = { transfer: { id, rev: 0, start: '' }, sentence: text, missing: [] };
  }
}
