// The live table: only the rows that can be seen are drawn. New rows come on top; while the reader has scrolled they wait.
import { useEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import type { VNode } from 'preact';
import { Copy } from './copy';
import { bytes, count, dateOf, timeOf, took } from './format';
import { Judged, look, Sign } from './icons';
import { follow, older } from './list';
import { filtered, from, loading, more, open, paused, picked, problem, q, reasons, reveal, rows, system, to, utc, waiting } from './state';
import { opWord, probably } from './words';
import type { Transfer } from './words';

const narrow = matchMedia('(max-width: 760px)');
const height = signal(narrow.matches ? 62 : 30); // of a row, as the style sheet has it
narrow.addEventListener('change', () => (height.value = narrow.matches ? 62 : 30));

const top = signal(0);
const visible = signal(600);

export function Table(): VNode {
  const box = useRef<HTMLDivElement>(null);
  const spacer = useRef<HTMLDivElement>(null);
  const window_ = useRef<HTMLDivElement>(null);
  const all = rows.value;
  const h = height.value;
  const first = Math.max(0, Math.floor(top.value / h) - 8);
  const last = Math.min(all.length, Math.ceil((top.value + visible.value) / h) + 8);

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const size = new ResizeObserver(() => (visible.value = el.clientHeight));
    size.observe(el);
    return () => size.disconnect();
  }, []);
  // Sizes that depend on data go through the object model: the policy allows no style in markup.
  useEffect(() => spacer.current?.style.setProperty('height', `${all.length * h}px`), [all.length, h]);
  useEffect(() => window_.current?.style.setProperty('transform', `translateY(${first * h}px)`), [first, h]);
  useEffect(() => {
    if (last >= all.length - 40) void older();
  }, [last, all.length, more.value]);
  useEffect(() => {
    const el = box.current;
    const i = reveal.value?.at;
    if (!el || i === undefined) return;
    if (i * h < el.scrollTop) el.scrollTop = i * h;
    else if ((i + 1) * h > el.scrollTop + el.clientHeight - 34) el.scrollTop = (i + 1) * h - el.clientHeight + 34;
  }, [reveal.value]);

  const scrolled = (): void => {
    const el = box.current;
    if (!el) return;
    top.value = el.scrollTop;
    if (el.scrollTop > h / 2) paused.value = true;
    else if (paused.value) follow();
  };
  const live = (): void => {
    if (box.current) box.current.scrollTop = 0;
    follow();
  };

  return (
    <section class="list" aria-label="Transfers">
      {paused.value && (
        <button type="button" class="tolive" onClick={live}>
          <Sign of="up" />{waiting.value ? `${count(waiting.value)} new, ` : ''}back to live
        </button>
      )}
      <div class="scroll" ref={box} onScroll={scrolled} tabIndex={0} role="table" aria-label="Transfers, newest first" aria-rowcount={more.value ? -1 : all.length + 1}>
        <div class="row heads" role="row" aria-rowindex={1}>
          {['start', 'verdict', 'file', 'client', 'op', 'bytes', 'took', 'reason'].map((name) => <span key={name} role="columnheader" class={`c-${name}`}>{name}</span>)}
        </div>
        <div class="spacer" ref={spacer} role="rowgroup">
          <div ref={window_} role="presentation">
            {all.slice(first, last).map((t, i) => <Row key={t.id} t={t} at={first + i} />)}
          </div>
        </div>
        {all.length === 0 && !loading.value && !problem.value && <div role="row"><div role="cell"><Empty /></div></div>}
      </div>
    </section>
  );
}

function Row({ t, at }: { t: Transfer; at: number }): VNode {
  const name = t.file || t.path || '';
  const classes = `row v-${look(t)} ${picked.value === t.id ? 'picked' : ''} ${open.value === t.id ? 'open' : ''}`;
  const show = (e: Event): void => {
    e.preventDefault();
    picked.value = t.id;
    open.value = t.id;
  };
  const share = t.expected && t.verdict === 'active' ? ` ${Math.floor((100 * (t.bytes ?? 0)) / t.expected)} %` : '';
  return (
    <div class={classes} role="row" aria-rowindex={at + 2} onClick={show}>
      <span role="cell" class="c-start"><time dateTime={t.start}><span class="date">{dateOf(t.start, utc.value)}</span> {timeOf(t.start, utc.value)}</time></span>
      <span role="cell" class="c-verdict"><Judged of={t} /></span>
      <span role="cell" class="c-file"><a href={`?id=${t.id}`} onClick={show} title={name}>{name}</a></span>
      <span role="cell" class="c-client">{t.client?.ip ?? ''}</span>
      <span role="cell" class="c-op">{opWord(t.op)}<span class="proto"> {t.proto}</span></span>
      <span role="cell" class="c-bytes" title={t.bytes === undefined ? '' : `${count(t.bytes)} bytes`}>{bytes(t.bytes)}{share}</span>
      <span role="cell" class="c-took">{took(t.took_ms)}</span>
      <span role="cell" class="c-reason">{probably(t) ? `probably ${probably(t)}: log and files agree` : t.reason ? because(t) : t.verdict === 'active' ? 'running' : ''}</span>
    </div>
  );
}

/** What the reason means; of what moves no content, that it was done. */
function because(t: Transfer): string {
  if (!t.verdict && t.reason === 'closed') return 'it was done';
  return reasons.value.get(t.reason ?? '')?.because ?? t.reason ?? '';
}

/** Says what to do next. */
function Empty(): VNode {
  if (filtered.value) {
    return (
      <div class="empty">
        <p>No transfer matches this filter{from.value ? ' in this time' : ''}.</p>
        <p><button type="button" onClick={() => (q.value = '')}>Clear the filter</button></p>
      </div>
    );
  }
  if (from.value !== 'now-24h' && from.value !== '') {
    return <div class="empty"><p>No transfer in this time.</p><p><button type="button" onClick={() => { from.value = ''; to.value = ''; }}>Show all times</button></p></div>;
  }
  const tftp = system.value?.listeners.find((l) => l.proto === 'tftp' && l.state === 'live');
  const command = tftp?.try || `curl -T FILE tftp://${reachable(tftp?.addr)}/`;
  return (
    <div class="empty">
      <p class="big">No transfer seen yet.</p>
      <p>Send a file, and it appears here with its verdict:</p>
      <p class="command"><code>{command}</code><Copy text={() => command} label="Copy the command" /></p>
      {from.value && <p><button type="button" onClick={() => (from.value = '')}>Show all times</button></p>}
    </div>
  );
}

/** An address that stands for all interfaces is shown as the host that this page came from. */
function reachable(addr: string | undefined): string {
  const m = /^(.*):(\d+)$/.exec(addr ?? '127.0.0.1:69');
  const host = m?.[1] && !/^(\[::\]|0\.0\.0\.0)$/.test(m[1]) ? m[1] : location.hostname;
  return m?.[2] && m[2] !== '69' ? `${host}:${m[2]}` : host;
}
