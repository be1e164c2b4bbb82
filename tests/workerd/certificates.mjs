// Makes X.509 certificates, with nothing but Node's own cryptography.

import { createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const DAY_MS = 86_400_000;

// DER (ITU-T X.690): a tag, a length, the content.
const tagged = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const digits = body.length.toString(16);
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
};
const sequence = (...parts) => tagged(0x30, ...parts);
const octets = (bytes) => tagged(0x04, bytes);
const bits = (bytes) => tagged(0x03, Buffer.from([0]), bytes);
const boolean = (value) => tagged(0x01, Buffer.from([value ? 0xff : 0]));

/** An object identifier. */
function oid(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const arc = (number) => {
    const groups = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  };
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(arc)]));
}

const commonName = (name) => sequence(tagged(0x31, sequence(oid("2.5.4.3"), tagged(0x0c, Buffer.from(name)))));

/** A time as GeneralizedTime, `YYYYMMDDHHMMSSZ`. */
const time = (ms) => tagged(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+Z/g, "")}Z`));

const extension = (id, isCritical, value) => sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octets(value));

/** subjectAltName: names, or IPv4 addresses. */
function alternativeNames(names) {
  const one = (name) => (/^[\d.]+$/.test(name) ? tagged(0x87, Buffer.from(name.split(".").map(Number))) : tagged(0x82, Buffer.from(name)));
  return extension("2.5.29.17", false, sequence(...names.map(one)));
}

const SIGNATURES = {
  ec: ["sha256", sequence(oid("1.2.840.10045.4.3.2"))],
  rsa: ["sha256", sequence(oid("1.2.840.113549.1.1.11"), tagged(0x05))],
};

const pem = (der) => `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;

/** A key pair: `ec` (P-256) or `rsa` (2048 bits). */
const keyPair = (kind) => (kind === "ec" ? generateKeyPairSync("ec", { namedCurve: "prime256v1" }) : generateKeyPairSync("rsa", { modulusLength: 2048 }));

/**
 * A certificate, signed by `issuer`, or by itself. `names` are the hosts that it is valid for; without them it
 * is an authority. It is valid from yesterday until `until` (ms from now).
 *
 * The result has its text (`cert`), its `key`, and the `chain` that a server sends: up to, but without, the root.
 */
export function certificate(name, { kind = "ec", issuer, names, until = DAY_MS } = {}) {
  const { publicKey, privateKey } = keyPair(kind);
  const signer = issuer ?? { name, kind, privateKey };
  const [hash, algorithm] = SIGNATURES[signer.kind];
  const extensions = names
    ? [alternativeNames(names), extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1")))]
    : [extension("2.5.29.19", true, sequence(boolean(true))), extension("2.5.29.15", true, tagged(0x03, Buffer.from([1, 0x06])))];
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, Buffer.from([1]), randomBytes(8)),
    algorithm,
    commonName(signer.name),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + until)),
    commonName(name),
    createPublicKey(publicKey.export({ type: "spki", format: "pem" })).export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const cert = pem(sequence(body, algorithm, bits(sign(hash, body, signer.privateKey))));
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  const chain = issuer?.issuer ? cert + issuer.chain : cert;
  return { name, kind, issuer, privateKey, cert, key, chain };
}

/** A root, an intermediate authority, and a certificate for `names`; the keys are of `kind`. */
export function authority(kind, names) {
  const root = certificate(`${kind} root`, { kind });
  const middle = certificate(`${kind} intermediate`, { kind, issuer: root });
  return { root, middle, leaf: certificate(names[0], { kind, issuer: middle, names }) };
}
