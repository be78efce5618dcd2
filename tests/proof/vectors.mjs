// The frozen vectors of docs/proof.md, checked by an implementation of their own: Node's crypto,
// BigInt and Intl, written from that page. `node vectors.mjs proof_vectors.json`; exit 1 on a miss.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
const counts = {};
const problems = [];

function check(right, what, where) {
  counts[what] = (counts[what] ?? 0) + 1;
  if (!right) problems.push(`${what}: ${where}`);
}

const sha = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
};
const canonical = (value) => Buffer.from(JSON.stringify(sorted(value)));
const digest = (value) => sha(canonical(value)).toString("hex");

function tree(leaves) {
  if (leaves.length === 0) return sha();
  if (leaves.length === 1) return sha(Buffer.from([0]), leaves[0]);
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return sha(Buffer.from([1]), tree(leaves.slice(0, half)), tree(leaves.slice(half)));
}

function pathRoot(path, data) {
  const hashes = path.hashes.map((text) => Buffer.from(text, "hex"));
  let [at, last, found] = [path.index, path.size - 1, sha(Buffer.from([0]), data)];
  if (at < 0 || at > last) return null;
  for (; last > 0; at >>= 1, last >>= 1) {
    if (at % 2 === 0 && at >= last) continue;
    const next = hashes.shift();
    if (next === undefined) return null;
    found = at % 2 ? sha(Buffer.from([1]), next, found) : sha(Buffer.from([1]), found, next);
  }
  return hashes.length ? null : found.toString("hex");
}

// Rating again (section 7), in fractions of BigInt

const decimal = (text, digits) => {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(digits, "0"));
};
const picos = (text) => decimal(text, 12);

const formats = new Map();

function localTime(zone, seconds) {
  const format = formats.get(zone) ?? new Intl.DateTimeFormat("en-CA-u-hc-h23", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  formats.set(zone, format);
  const parts = Object.fromEntries(
    format.formatToParts(new Date(seconds * 1000)).map((part) => [part.type, part.value]),
  );
  const clock = Number(parts.hour) * 3600 + Number(parts.minute) * 60 + Number(parts.second);
  return [`${parts.year}-${parts.month}-${parts.day}`, clock];
}

const dayBefore = (day) => new Date(Date.parse(`${day}T00:00:00Z`) - 86400000).toISOString().slice(0, 10);

function bandInForce(rate, seconds) {
  if (rate.bands.length === 0) return null;
  const [today, clock] = localTime(rate.time_zone, seconds);
  const holds = (band, day) => {
    const weekday = new Date(`${day}T00:00:00Z`).getUTCDay() || 7;
    const dated = band.dates.length === 0 || band.dates.includes(day) || band.dates.includes(day.slice(5));
    return dated && (band.weekdays.length === 0 || band.weekdays.includes(weekday));
  };
  let best = null;
  for (const band of rate.bands) {
    const covers =
      band.from < band.until
        ? band.from <= clock && clock < band.until && holds(band, today)
        : (band.from <= clock && holds(band, today)) ||
          (clock < band.until && holds(band, dayBefore(today)));
    const wins =
      best === null || band.weight > best.weight || (band.weight === best.weight && band.from > best.from);
    if (covers && wins) best = band;
  }
  return best;
}

function rated(rate, start, seconds) {
  if (seconds <= rate.grace_seconds) return [0n, 0];
  const fee = bandInForce(rate, start)?.connection_fee ?? rate.connection_fee;
  let [above, below, second] = [picos(fee), 1n, 0];
  while (second < seconds) {
    const slots = (bandInForce(rate, start + second) ?? rate).slots;
    const slot = slots.findLast((each) => each.from_second <= second);
    const unit = BigInt(slot.unit_seconds);
    above = above * unit + picos(slot.price) * BigInt(slot.increment_seconds) * below;
    below *= unit;
    const divisor = ((a, b) => { while (b) [a, b] = [b, a % b]; return a || 1n; })(above, below);
    [above, below] = [above / divisor, below / divisor];
    second += slot.increment_seconds;
  }
  if (rate.maximum_charge_strategy === "cap" && above > picos(rate.maximum_charge) * below)
    [above, below] = [picos(rate.maximum_charge), 1n];
  if (above < picos(rate.minimum_charge) * below) [above, below] = [picos(rate.minimum_charge), 1n];
  const unit = 10n ** BigInt(12 - rate.rounding.decimals) * below;
  const [whole, rest] = [above / unit, above % unit];
  const up = {
    down: false,
    up: rest > 0n,
    none: rest > 0n,
    half_up: rest * 2n >= unit,
    half_even: rest * 2n > unit || (rest * 2n === unit && whole % 2n === 1n),
  }[rate.rounding.mode];
  return [(whole + (up ? 1n : 0n)) * 10n ** BigInt(6 - rate.rounding.decimals), second];
}

function ratedCharge(charge, rate) {
  const first = charge.lines[0];
  const paid = first?.kind === "pool" ? first.seconds : 0;
  const begin = paid ? (first.until_second ?? paid) : 0;
  const left = charge.talk_seconds - begin;
  if (left <= 0) return [0n, paid];
  const start = Math.floor(Date.parse(charge.answered_at) / 1000);
  const [amount, billed] = rated(rate, start + begin, left);
  return [amount, billed + paid];
}

// The vectors

for (const each of vectors.canonical) {
  check(canonical(each.value).toString() === each.bytes, "canonical", each.bytes);
  check(digest(each.value) === each.hash, "hash", each.bytes);
}
for (const each of vectors.trees) {
  const leaves = each.leaves.map((leaf) => Buffer.from(leaf, "hex"));
  check(tree(leaves).toString("hex") === each.root, "tree", leaves.length);
  each.paths.forEach((path, at) => check(pathRoot(path, leaves[at]) === each.root, "path", at));
}
let previous = "0".repeat(64);
for (const each of vectors.commits) {
  check(tree(each.entries.map(canonical)).toString("hex") === each.commit.root, "commit", each.commit.commit);
  check(each.commit.previous === previous, "chain", each.commit.commit);
  check((previous = digest(each.commit)) === each.hash, "commit hash", each.commit.commit);
}
const texts = new Set(vectors.rates.rates.map((rate) => canonical(rate).toString()));
const rates = [...texts].map((text) => Buffer.from(text)).sort(Buffer.compare);
check(tree(rates).toString("hex") === vectors.rates.root, "rates", "root");
for (const each of vectors.ratings) {
  const [amount, billed] = ratedCharge(each.charge, each.rate);
  const right = amount === decimal(each.amount, 6) && billed === each.billed_seconds;
  check(right, "rating", `${amount} ${billed} is not ${each.amount} ${each.billed_seconds}`);
}
const keys = new Map(vectors.keys.keys.map((key) => [key.id, Buffer.from(key.public_key, "base64")]));
const der = Buffer.from("302a300506032b6570032100", "hex");
const signedBy = ({ root, signature }) => {
  const bytes = keys.get(root.key);
  const key = createPublicKey({ key: Buffer.concat([der, bytes]), format: "der", type: "spki" });
  const own = root.key === `ed25519-${sha(bytes).toString("hex").slice(0, 16)}`;
  return own && verify(null, canonical(root), key, Buffer.from(signature, "base64"));
};
vectors.roots.forEach((each, at) => {
  check(signedBy(each), "signature", each.root.day);
  if (at) check(each.root.previous === digest(vectors.roots[at - 1].root), "roots", each.root.day);
});
for (const receipt of vectors.receipts) {
  const { digest: said, ...body } = receipt;
  check(digest(body) === said, "receipt", receipt.leg);
  for (const item of receipt.items) {
    const signed = receipt.roots[item.root];
    check(signedBy(signed), "receipt signature", receipt.leg);
    check(pathRoot(item.entry_path, canonical(item.entry)) === item.commit.root, "entry path", receipt.leg);
    const commit = Buffer.from(digest(item.commit), "hex");
    check(pathRoot(item.commit_path, commit) === signed.root.tree, "commit path", receipt.leg);
    if (item.charge) check(digest(item.charge) === item.entry.charge_digest, "charge", receipt.leg);
    if (item.person) check(digest(item.person) === item.entry.person_digest, "person", receipt.leg);
    if (!item.rate) continue;
    check(pathRoot(item.rate_path, canonical(item.rate)) === signed.root.rates, "rate path", receipt.leg);
    const [amount, billed] = ratedCharge(item.charge, item.rate);
    const right = amount === decimal(item.charge.amount, 6) && billed === item.charge.billed_seconds;
    check(right, "receipt rating", receipt.leg);
  }
}
for (const { lines } of vectors.months) {
  const end = JSON.parse(lines.at(-1));
  const said = sha(Buffer.from(lines.slice(0, -1).join(""))).toString("hex");
  check(end.lines === lines.length - 1 && end.digest === said, "month", end.digest);
  for (const line of lines) check(`${canonical(JSON.parse(line))}\n` === line, "line", line.slice(0, 60));
}
console.log(JSON.stringify({ checked: counts, problems }));
process.exit(problems.length ? 1 : 0);
