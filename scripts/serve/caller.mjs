// The address of a request's caller: the other end of the connection, unless that is a proxy of the operator's.

/** The bytes of an address, IPv4 as IPv6 has it; `null` if it is none. */
export function addressBytes(text) {
  const v4 = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(text);
  if (v4) {
    const numbers = v4.slice(1).map(Number);
    return numbers.every((number) => number <= 255) ? [...Array(10).fill(0), 255, 255, ...numbers] : null;
  }
  if (!/^[0-9a-f:]{2,39}$/i.test(text)) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half ? half.split(":") : []));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...Array(tail ? missing : 0).fill("0"), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
}

/** A range in CIDR notation, or a single address; `null` if it is neither. */
export function range(text) {
  const [address, length, ...rest] = text.split("/");
  const bytes = addressBytes(address);
  if (!bytes || rest.length || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const most = address.includes(":") ? 128 : 32;
  const bits = length === undefined ? most : Number(length);
  return bits > most ? null : { bytes, bits: bits + 128 - most };
}

function contains({ bytes, bits }, address) {
  return address.every((byte, at) => {
    const mask = (0xff00 >> Math.min(8, Math.max(0, bits - 8 * at))) & 255;
    return (byte & mask) === (bytes[at] & mask);
  });
}

const ranges = new Map();

function isTrusted(address, trusted) {
  const bytes = addressBytes(address);
  if (!bytes) return false;
  return trusted.some((text) => {
    if (!ranges.has(text)) ranges.set(text, range(text));
    return contains(ranges.get(text), bytes);
  });
}

/** Without a port, which workerd reports, and some proxies write. */
const bare = (hop) => hop.trim().replace(/^\[([^\]]*)\](:\d+)?$/, "$1").replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");

/**
 * The caller's address: `peer`, or, as long as that is a trusted proxy, who it says called it. What stands
 * before the first address that is not trusted was written by the caller, and is not believed.
 */
export function callerAddress(peer, forwarded, trusted) {
  let address = peer && bare(peer);
  for (const hop of (forwarded ?? "").split(",").reverse().map(bare)) {
    if (!address || !isTrusted(address, trusted) || !addressBytes(hop)) break;
    address = hop;
  }
  return address;
}
