// How long after sending COMMIT a listener hears of it, one at a time into an idle system: pg_notify inside
// the transaction, and kin_tr's bell, which rings when its relay has read what was committed. Bound and
// kin_tr by turns.
//
//   node latency.mjs BOUND_DATABASE KIN_TR_DATABASE     the latter with one worker who is free
//
// N samples of each (500; 20 with QUICK=1). Prints case<TAB>1<TAB>p50_ms<TAB>value.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const N = Number(process.env.N ?? (process.env.QUICK ? 20 : 500));
const attributes = { type: 'inbound', from: '+351910000001', to: '+351220000002', language: 'pt', skill: 'billing',
                     customer: { id: 184467, tier: 'gold', since: '2019-03-01' }, direction: 'call' };
const [bound, kin] = process.argv.slice(2);
const connect = async database => {
    const client = new pg.Client({ database });
    await client.connect();
    return client;
};

// A listener, and when it first heard what.
const hear = async (database, channels, what) => {
    const client = await connect(database);
    const heard = new Map();
    let wake = () => {};
    client.on('notification', message => {
        for (const name of what(message)) if (!heard.has(name)) heard.set(name, performance.now());
        wake();
    });
    for (const channel of channels) await client.query(`LISTEN "${channel}"`);
    return {
        reset: () => heard.clear(),
        when: async name => {
            while (!heard.has(name)) await new Promise(resolve => { wake = resolve; });
            return heard.get(name);
        },
        end: () => client.end(),
    };
};

// ---- pg_notify

const sender = await connect(bound);
await sender.query(`SET client_min_messages = warning; DROP TABLE IF EXISTS bell;
    CREATE TABLE bell (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL)`);
const notified = await hear(bound, ['bell'], () => ['bell']);
const insert = { name: 'insert', text: "INSERT INTO bell (payload) VALUES ($1) RETURNING pg_notify('bell', seq::text)",
                 values: ['x'.repeat(200)] };

const with_notify = async () => {
    notified.reset();
    await sender.query('BEGIN');
    await sender.query(insert);
    const start = performance.now();
    await sender.query('COMMIT');
    return await notified.when('bell') - start;
};

// ---- kin_tr

const app = await connect(kin);
const { rows: [{ workspace, worker }] } = await app.query(
    'SELECT s.sid AS workspace, w.sid AS worker FROM kin_tr.workspaces s, kin_tr.workers w');
const rung = await hear(kin, [`kin_tr_${workspace}`, `kin_tr_${worker}`], ({ channel, payload }) =>
    JSON.parse(payload).events.map(event => `${channel} ${event.event_type}`));
const create = { name: 'create', text: 'SELECT kin_tr.create_task($1)', values: [attributes] };
const pending = { name: 'pending', text: `SELECT sid FROM kin_tr.reservations
    WHERE worker_sid = $1 AND is_open AND reservation_status = 'pending'`, values: [worker] };

const with_bell = async () => {
    rung.reset();
    await app.query('BEGIN');
    await app.query(create);
    const start = performance.now();
    await app.query('COMMIT');
    const created = await rung.when(`kin_tr_${workspace} task.created`) - start;
    const reserved = await rung.when(`kin_tr_${worker} reservation.created`) - start;
    // The worker is free again for the next, when all that comes of it has been told.
    const { rows: [{ sid }] } = await app.query(pending);
    await app.query('SELECT kin_tr.accept_reservation($1)', [sid]);
    await app.query('SELECT kin_tr.complete_reservation($1)', [sid]);
    await rung.when(`kin_tr_${worker} reservation.completed`);
    return [created, reserved];
};

// ---- by turns

const pause = () => sleep(5 + Math.random() * 10);
const samples = { pg_notify: [], task_created: [], reservation_created: [] };
for (let i = -10; i < N; i++) {                     // the first ten warm up
    await pause();
    const bare = await with_notify();
    await pause();
    const [created, reserved] = await with_bell();
    if (i < 0) continue;
    samples.pg_notify.push(bare);
    samples.task_created.push(created);
    samples.reservation_created.push(reserved);
}
for (const [name, values] of Object.entries(samples)) {
    values.sort((a, b) => a - b);
    console.log([name, 1, 'p50_ms', values[Math.floor((values.length - 1) / 2)].toFixed(3)].join('\t'));
}
await Promise.all([sender.end(), notified.end(), app.end(), rung.end()]);
