// The page: it waits until somebody is logged in, then opens the live stream and shows what the API says.
import { effect } from '@preact/signals';
import { render } from 'preact';
import type { VNode } from 'preact';
import { Events } from './events';
import { Filter } from './filter';
import { Header, StaleBanner } from './header';
import { Help } from './help';
import './keys';
import { reload } from './list';
import { Login } from './login';
import { Mounts } from './mounts';
import { Overview } from './overview';
import { chartFrom, from, learn, needs, open, q, stale, system, to, view, whoAmI } from './state';
import { counts, start, why } from './stream';
import { Table } from './table';
import { Why } from './why';

function Page(): VNode | null {
  if (needs.value === undefined) return null;
  if (needs.value !== '') return <Login />;
  return (
    <div class={`page ${open.value ? 'split' : ''}`}>
      <Header />
      <StaleBanner />
      <main>
        <div class="left">
          <Overview />
          <Filter />
          {view.value === 'events' ? <Events /> : view.value === 'mounts' ? <Mounts /> : <Table />}
        </div>
        <Why />
      </main>
      <Help />
    </div>
  );
}

let asked = '';
effect(() => {
  if (needs.value !== '') {
    asked = '';
    return;
  }
  const filter = q.value;
  const time = `${from.value} ${to.value}`;
  const first = asked === '';
  const last = asked;
  asked = `${filter}\n${time}`;
  if (first) void learn();
  if (first || last.split('\n')[0] !== filter) void start();
  else if (last !== asked) void reload();
});
effect(() => {
  if (chartFrom.value && needs.value === '') void counts();
});
effect(() => {
  if (open.value !== undefined && needs.value === '') void why();
});
effect(() => {
  if (system.value) document.title = `${stale.value ? '(stale) ' : ''}${system.value.name} · Tallyman`;
});

const root = document.getElementById('app');
if (root) {
  render(<Page />, root);
  whoAmI().catch(() => {
    root.textContent = 'The server does not answer: is it still running? Reload to try again.';
  });
}
