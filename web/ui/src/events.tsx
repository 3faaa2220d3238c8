// Events, gaps and findings: what stands beside the transfers, newest first. They are asked for again whenever one comes, and whenever the server says how it is doing.
import { effect, signal } from '@preact/signals';
import type { VNode } from 'preact';
import { get } from './api';
import { dateOf, timeOf } from './format';
import { Sign } from './icons';
import { failed, from, happened, needs, q, system, to, utc, view } from './state';
import type { Beside } from './words';

const list = signal<Beside[] | undefined>(undefined);
const most = 200;

let running: AbortController | undefined;

async function load(): Promise<void> {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const params = { q: q.value, from: from.value, to: to.value, limit: most };
  try {
    const [events, gaps, findings] = await Promise.all([
      get<{ events: Beside[] }>('events', params, mine.signal), get<{ gaps: Beside[] }>('gaps', params, mine.signal), get<{ findings: Beside[] }>('findings', params, mine.signal),
    ]);
    const all = [...events.events, ...gaps.gaps, ...findings.findings];
    list.value = all.sort((a, b) => ((a.at ?? '') < (b.at ?? '') ? 1 : -1)).slice(0, most);
  } catch (err) {
    if (!mine.signal.aborted) failed(err);
  }
}

effect(() => {
  // Reading them makes the effect run again when one of them changes.
  void [q.value, from.value, to.value, system.value, happened.value];
  if (view.value === 'events' && needs.value === '') void load();
});

export function Events(): VNode {
  const all = list.value;
  return (
    <section class="list events" aria-label="Events">
      <div class="scroll" tabIndex={0} role="region" aria-label="Events, newest first">
        <table>
          <thead><tr><th scope="col">at</th><th scope="col">kind</th><th scope="col">who</th><th scope="col">what</th><th scope="col">told by</th></tr></thead>
          <tbody>{(all ?? []).map((e) => <Row key={e.id} e={e} />)}</tbody>
        </table>
        {all?.length === 0 && <div class="empty"><p>No event{q.value ? ' matches this filter' : ' in this time'}.</p></div>}
      </div>
    </section>
  );
}

const marks = /^(bounce|data-peer-mismatch|told before):\s*/;

function Row({ e }: { e: Beside }): VNode {
  const text = e.text ?? e.why ?? e.path ?? '';
  const mark = marks.exec(text)?.[1];
  const grave = e.kind === 'gap' || e.kind === 'login-failed' || e.kind === 'command-refused' || e.kind === 'finding' || mark !== undefined;
  const who = [e.user, e.client?.ip].filter(Boolean).join(' at ');
  const blind = e.kind === 'gap' && e.from && e.to ? `, from ${timeOf(e.from, utc.value)} to ${timeOf(e.to, utc.value)}` : '';
  const mount = e.kind === 'mount' || e.kind === 'unmount';
  const lost = e.lost ? `, ${e.lost.toLocaleString('en-US')} lost` : '';
  return (
    <tr class={`e-${e.kind} ${grave ? 'grave' : ''}`}>
      <td class="c-start">{e.at && <time dateTime={e.at}><span class="date">{dateOf(e.at, utc.value)}</span> {timeOf(e.at, utc.value)}</time>}</td>
      <td class="kind">{grave && <Sign of={e.kind === 'gap' ? 'eyeoff' : 'warn'} />}{e.kind}{e.severity && ` ${e.severity}`}</td>
      <td class="by">{who}</td>
      <td class="what">{mount && <><b>{e.path}</b> {[e.to_class, e.device].filter(Boolean).join(' ')}: </>}{mark && <b>{mark}</b>} {mark ? text.replace(marks, '') : text || said[e.kind] || ''}{blind}{lost}{e.kind === 'flow' && !mark && e.server?.ip && ` to ${e.server.ip}:${e.server.port ?? ''}`}</td>
      <td class="witness">{e.witness ?? e.rule}</td>
    </tr>
  );
}

/** What an event means that comes without words. */
const said: Record<string, string> = { login: 'logged in', 'login-failed': 'failed to log in', 'command-refused': 'was refused a command' };
