// Hears the bell of the database in PGDATABASE and, when its standard input ends, prints how often it rang.
import pg from 'pg';

const client = new pg.Client();
let rung = 0;
await client.connect();
client.on('notification', () => { rung++; });
await client.query('LISTEN kin_tr');
console.log('listening');
process.stdin.resume();
process.stdin.on('end', async () => { await client.end(); console.log(rung); });
