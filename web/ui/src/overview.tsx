// The tiles of the last 24 hours, and the chart by hour with its table.
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { Chart } from './chart';
import { bytes, count, dateOf, timeOf } from './format';
import { Sign, VerdictIcon } from './icons';
import { byHour, byVerdict, chartFrom, q, utc } from './state';
import { failures, verdicts } from './words';
import type { Stat, Verdict } from './words';

export function Overview(): VNode {
  return (
    <section class="overview" aria-label="Overview">
      <Tiles />
      <Hours />
    </section>
  );
}

function Tiles(): VNode {
  const of = new Map(byVerdict.value.map((s) => [s.key as Verdict, s]));
  const n = (...v: Verdict[]): number => v.reduce((sum, x) => sum + (of.get(x)?.transfers ?? 0), 0);
  const moved = byVerdict.value.reduce((sum, s) => sum + s.bytes, 0);
  const searches = byVerdict.value.reduce((sum, s) => sum + (s.searches ?? 0), 0);
  const bad = failures.filter((v) => n(v) > 0).map((v) => `${count(n(v))} ${v}`).join(', ');
  const ended = n(...verdicts) - n('active');
  return (
    <div class="tiles">
      <Tile name="transfers" value={count(n(...verdicts))} note={searches ? `and ${count(searches)} probes, searches` : 'in 24 hours'} query="" />
      <Tile name="complete" kind="complete" value={count(n('complete'))} note={ended ? `${percent(n('complete'), ended)} of ended` : 'proven whole'} query="verdict:complete" />
      <Tile name="failed" kind={n(...failures) ? 'failed' : undefined} value={count(n(...failures))} note={bad || 'none'} query="outcome:failure" />
      <Tile name="unproven" kind={n('unproven') ? 'unproven' : undefined} value={count(n('unproven'))} note="the proof is missing" query="verdict:unproven" />
      <Tile name="moved" value={bytes(moved)} note={`${count(moved)} bytes`} />
      <Tile name="active now" kind={n('active') ? 'active' : undefined} value={count(n('active'))} note={n('active') ? 'running' : 'nothing runs'} query="verdict:active" />
    </div>
  );
}

function percent(part: number, all: number): string {
  const p = (100 * part) / all;
  return part === all ? '100 %' : p > 99.9 ? '> 99.9 %' : `${p.toFixed(1)} %`;
}

function Tile(t: { name: string; value: string; note: string; kind?: Verdict | undefined; query?: string }): VNode {
  const body = (
    <>
      <span class="name">{t.kind && <VerdictIcon of={t.kind} />}{t.name}</span>
      <strong>{t.value}</strong>
      <small title={t.note}>{t.note}</small>
    </>
  );
  const kind = `tile ${t.kind ? 'v-' + t.kind : ''}`;
  if (t.query === undefined) return <div class={kind}>{body}</div>;
  const query = t.query;
  return (
    <button type="button" class={kind} aria-pressed={q.value === query} title={query ? `Show ${query}` : 'Show all'} onClick={() => (q.value = q.value === query ? '' : query)}>
      {body}
    </button>
  );
}

function Hours(): VNode {
  const asTable = useSignal(false);
  const hours = filled(byHour.value, chartFrom.value);
  return (
    <section class="hours" aria-label="Transfers per hour">
      <div class="bar">
        <h2>Per hour</h2>
        <Legend hours={hours} />
        <button type="button" class="quiet" onClick={() => (asTable.value = !asTable.value)} aria-pressed={asTable.value}>
          <Sign of={asTable.value ? 'chart' : 'table'} />{asTable.value ? 'chart' : 'table'}
        </button>
      </div>
      {asTable.value ? <HourTable hours={hours} /> : <Chart hours={hours} />}
    </section>
  );
}

function Legend({ hours }: { hours: Stat[] }): VNode {
  return (
    <ul class="legend" aria-label="Verdicts in the chart">
      {verdicts.filter((v) => hours.some((h) => h.verdicts?.[v])).map((v) => (
        <li key={v} class={`v-${v}`}><VerdictIcon of={v} />{v}</li>
      ))}
    </ul>
  );
}

/** The same numbers for those who cannot see or do not trust a chart; hours without transfers are left away. */
function HourTable({ hours }: { hours: Stat[] }): VNode {
  const shown = verdicts.filter((v) => hours.some((h) => h.verdicts?.[v]));
  return (
    <div class="hourtable" tabIndex={0} role="region" aria-label="Table of transfers per hour">
      <table>
        <thead><tr><th scope="col">hour</th>{shown.map((v) => <th key={v} scope="col">{v}</th>)}<th scope="col">bytes</th></tr></thead>
        <tbody>
          {hours.filter((h) => h.transfers > 0).reverse().map((h) => (
            <tr key={h.key}>
              <th scope="row">{dateOf(h.key, utc.value)} {timeOf(h.key, utc.value).slice(0, 5)}</th>
              {shown.map((v) => <td key={v}>{h.verdicts?.[v] ? count(h.verdicts[v]) : ''}</td>)}
              <td>{bytes(h.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const hour = 3_600_000;

/** Puts hours of nothing between the hours that the ledger knows. */
function filled(stats: Stat[], from: string): Stat[] {
  const known = new Map(stats.map((s) => [Math.floor(Date.parse(s.key) / hour), s]));
  const m = /^now-(\d+)([hdw])$/.exec(from);
  const length = m ? Number(m[1]) * ({ h: 1, d: 24, w: 168 }[m[2] ?? 'h'] ?? 1) : 24;
  const last = Math.floor(Date.now() / hour);
  const out: Stat[] = [];
  for (let h = last - length; h <= last; h++) {
    out.push(known.get(h) ?? { key: new Date(h * hour).toISOString(), transfers: 0, uploads: 0, downloads: 0, bytes: 0 });
  }
  return out;
}
