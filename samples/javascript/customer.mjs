// Pays the amounts on stdin at the till (samples/till), each once, whatever happens to its nodes meanwhile:
//   node customer.mjs HOST:PORT...
// gateway.js is made of the published schema: capnp compile -o./node_modules/.bin/capnpc-js:. gateway.capnp
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Gateway, Read, Verdict } from "./gateway.js";
import { dial } from "./transport.mjs";

const places = process.argv.slice(2);
const group = "till";
let turn = 0;
let link = null;
const session = { idHigh: randomBytes(8).readBigUInt64LE(), idLow: randomBytes(8).readBigUInt64LE(), birth: 0n };
let number = 0n;

/** One copy of a request, through the member at hand; another one after a failure. */
async function copy(ask) {
  if (!link) {
    const mine = await dial(places[turn % places.length], Gateway, () => {
      if (link === mine) link = null;
    });
    link = mine;
  }
  const late = new AbortController();
  try {
    return await Promise.race([ask(link.main), sleep(3000, null, { signal: late.signal }).then(() => Promise.reject(new Error("no answer")))]);
  } catch (error) {
    link?.close();
    link = null;
    throw error;
  } finally {
    late.abort();
  }
}

/** Until the group decided: the same number, so it is executed once however many copies it takes. */
async function insist(ask) {
  for (let pause = 10; ; pause = Math.min(1000, 2 * pause)) {
    try {
      const answer = await copy(ask);
      if (answer.verdict === Verdict.REPLIED) return answer;
      if (answer.verdict === Verdict.REFUSED && !answer.retry) throw Object.assign(new Error(answer.why), { final: true });
    } catch (error) {
      if (error?.final) throw error;
    }
    ++turn;
    await sleep(pause / 2 + (Math.random() * pause) / 2);
  }
}

function name(to) {
  to.idHigh = session.idHigh;
  to.idLow = session.idLow;
  to.birth = session.birth;
}

async function open() {
  const answer = await insist(async (gateway) => {
    const results = await gateway.open((p) => {
      p.group = group;
      name(p._initSession());
      p.lifetimeMs = 60_000n;
    }).promise();
    return results.answer;
  });
  session.birth = answer.birth;
}

async function pay(amount) {
  const bytes = Buffer.from(amount);
  number += 1n;
  const answer = await insist(async (gateway) => {
    const results = await gateway.call((p) => {
      p.group = group;
      name(p._initSession());
      const request = p._initRequests(1).get(0);
      request.number = number;
      request.acknowledgedBelow = number;
      request._initPayload(bytes.length).copyBuffer(bytes);
    }).promise();
    return results.answers.get(0);
  });
  return Buffer.from(answer.payload.toUint8Array()).toString();
}

async function read() {
  const answer = await insist(async (gateway) => {
    const results = await gateway.query((p) => {
      p.group = group;
      p.how = Read.LINEARIZABLE;
    }).promise();
    return results.answer;
  });
  return Buffer.from(answer.payload.toUint8Array()).toString();
}

await open();
for await (const line of createInterface({ input: process.stdin })) console.log(await pay(line));
console.log(`the till holds ${await read()}`);
process.exit(0);
