// The filter box with the query language, the range of time, and what else can be done with exactly these records.
import { useEffect, useRef } from 'preact/hooks';
import type { VNode } from 'preact';
import { batch } from '@preact/signals';
import { url } from './api';
import { Copy } from './copy';
import { Sign } from './icons';
import { asked, from, problem, q, system, to, view } from './state';

const ranges: [string, string][] = [['now-1h', 'last hour'], ['now-24h', 'last 24 hours'], ['now-7d', 'last 7 days'], ['now-30d', 'last 30 days'], ['', 'all times']];

export function Filter(): VNode {
  const box = useRef<HTMLInputElement>(null);
  const due = useRef(0);
  useEffect(() => {
    if (box.current && box.current.value !== q.value) box.current.value = q.value;
  }, [q.value]);
  const custom = to.value !== '' || !ranges.some(([r]) => r === from.value);
  const params = { q: asked.value, from: from.value, to: to.value };
  const bad = problem.value?.status === 400;
  return (
    <search class="filter">
      <div class="line">
        <div class="views" role="group" aria-label="List">
          <button type="button" aria-pressed={view.value === ''} onClick={() => (view.value = '')}>Transfers</button>
          <button type="button" aria-pressed={view.value === 'events'} onClick={() => (view.value = 'events')}>Events</button>
          {(view.value === 'mounts' || system.value?.witnesses.some((w) => w.name === 'mounts')) && (
            <button type="button" aria-pressed={view.value === 'mounts'} onClick={() => (view.value = 'mounts')}>Mounts</button>
          )}
        </div>
        <label class="query">
          <Sign of="search" />
          <span class="hidden">Filter</span>
          <input ref={box} id="q" type="search" autoComplete="off" autoCapitalize="off" spellcheck={false} enterKeyHint="search"
            placeholder="verdict:failed client:10.20.0.0/16 -file:*.tmp" aria-invalid={bad} aria-describedby="query-error"
            onInput={(e) => {
              const text = e.currentTarget.value;
              clearTimeout(due.current);
              due.current = window.setTimeout(() => (q.value = text), 300);
            }}
            onKeyDown={(e) => {
              if (e.key !== 'Enter') return;
              clearTimeout(due.current);
              q.value = e.currentTarget.value;
            }} />
          <kbd aria-hidden="true">/</kbd>
        </label>
        <label class="range">
          <span class="hidden">Time</span>
          <select value={custom ? 'custom' : from.value}
            onChange={(e) => {
              const picked = e.currentTarget.value;
              batch(() => {
                from.value = picked;
                to.value = '';
              });
            }}>
            {ranges.map(([r, name]) => <option key={r} value={r}>{name}</option>)}
            {custom && <option value="custom" disabled>{short(from.value)} – {short(to.value)}</option>}
          </select>
        </label>
        <details class="menu">
          <summary>Export</summary>
          <div>
            <a href={url('transfers.csv', params)} download><Sign of="download" />CSV</a>
            <a href={url('transfers.ndjson', params)} download><Sign of="download" />NDJSON</a>
            <Copy text={() => `curl -H "Authorization: Bearer $TALLYMAN_TOKEN" ${quote(location.origin + url('transfers', params))}`}>as curl</Copy>
            <Copy text={() => `tallyman ls${from.value ? ' --from ' + from.value : ''}${to.value ? ' --to ' + to.value : ''}${q.value ? (q.value.startsWith('-') ? ' -- ' : ' ') + quote(q.value) : ''}`}>as command</Copy>
          </div>
        </details>
      </div>
      <div id="query-error" role="alert">
        {problem.value && <div class="error">{problem.value.caret && <pre>{problem.value.caret}</pre>}{problem.value.message}</div>}
      </div>
    </search>
  );
}

const short = (iso: string): string => iso.replace(/:\d\d(\.\d+)?Z$/, '').replace('T', ' ');

/** For a POSIX shell. */
export const quote = (s: string): string => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);
