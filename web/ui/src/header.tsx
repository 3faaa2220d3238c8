// The head of the page: whose page it is, which witnesses can see, and how it is shown.
import type { VNode } from 'preact';
import { post } from './api';
import { span, stamp } from './format';
import { Mark, Sign, StateIcon } from './icons';
import { help, stale, system, theme, user, utc, whoAmI } from './state';
import type { State } from './words';

const stateWord: Record<State, string> = { live: 'live', starting: 'starting', blind: 'cannot see', failed: 'failed', off: 'off' };

export function Header(): VNode {
  const s = system.value;
  return (
    <header class="head">
      <h1><Mark /><span>Tallyman</span>{s && <span class="host">{s.name}</span>}</h1>
      <Witnesses />
      <div class="tools">
        <button type="button" class="quiet" onClick={() => (utc.value = !utc.value)} title="Times in UTC or in local time">
          {utc.value ? 'UTC' : 'local time'}
        </button>
        <Theme />
        <button type="button" class="quiet" onClick={() => (help.value = true)} aria-label="Keys and help" title="Keys and help (?)">?</button>
        {user.value && user.value !== 'local' && (
          <button type="button" class="quiet logout" title={`Logged in as ${user.value}`} onClick={logout}>log out</button>
        )}
      </div>
    </header>
  );
}

export function logout(): void {
  help.value = false;
  void post('logout').then(whoAmI);
}

/** The line that says what may be trusted: each witness with icon and word, then what waits. */
function Witnesses(): VNode {
  const s = system.value;
  if (!s) return <p class="witnesses" aria-busy="true">…</p>;
  const parts: { name: string; state: State; text?: string | undefined }[] = [...s.witnesses];
  for (const [name, store] of [['spool', s.spool], ['ledger', s.ledger]] as const) {
    if (store.state !== 'live' && store.state !== 'off') parts.push({ name, state: store.state, text: store.text });
  }
  for (const l of s.listeners) {
    if (l.state !== 'live' && l.state !== 'off') parts.push({ name: l.proto, state: l.state, text: l.text });
  }
  return (
    <div class="witnesses">
      <span class="label" id="witnesses">Witnesses</span>
      <ul aria-labelledby="witnesses">
        {parts.map((w) => (
          <li key={w.name} class={`state s-${w.state}`} title={w.text ?? ''}>
            <StateIcon of={w.state} /><b>{w.name}</b> {stateWord[w.state]}
          </li>
        ))}
      </ul>
      <span class="calm">{s.backlog > 0 ? `${s.backlog.toLocaleString('en-US')} on the way to the ledger` : 'all recorded'} · up {span(s.uptime_s)}</span>
    </div>
  );
}

const themes = ['auto', 'light', 'dark'];

function Theme(): VNode {
  const now = theme.value;
  return (
    <button type="button" class="quiet" aria-label={`Colours: ${now}`} title={`Colours: ${now}`}
      onClick={() => (theme.value = themes[(themes.indexOf(now) + 1) % themes.length] ?? 'auto')}>
      <Sign of={now === 'light' ? 'sun' : now === 'dark' ? 'moon' : 'auto'} />
    </button>
  );
}

/** Says that what stands below may be old. */
export function StaleBanner(): VNode | null {
  if (!stale.value) return null;
  return (
    <p class="banner" role="status">
      <Sign of="warn" />The live stream broke at {stamp(stale.value, utc.value)}. What stands here may be old; trying again.
    </p>
  );
}
