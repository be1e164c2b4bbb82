// The databases of Durable Objects as text, and back again. workerd keeps each object in a database of its
// own: CLASS/ID.sqlite.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Tables of SQLite and of the runtime. They are created anew, except for alarms: those would fire on the
 * runtime's clock, not on the test's.
 */
const OWN = /^(sqlite_|_cf_)/;
const RUNTIME = "metadata.sqlite";

function quote(value) {
  if (value === null) return "NULL";
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  return value instanceof Uint8Array ? `X'${Buffer.from(value).toString("hex")}'` : String(value);
}

/** A database as statements, one row per line. */
function dumpOne(path) {
  const database = new DatabaseSync(path);
  const tables = database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL ORDER BY name").all();
  const lines = [];
  for (const { name, sql } of tables.filter(({ name }) => !OWN.test(name))) {
    lines.push(`${sql.replace(/\s+/g, " ")};`);
    const query = database.prepare(`SELECT * FROM "${name}"`);
    query.setReadBigInts(true);
    for (const row of query.all()) lines.push(`INSERT INTO "${name}" VALUES (${Object.values(row).map(quote).join(", ")});`);
  }
  for (const { sql } of database.prepare("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name").all()) lines.push(`${sql};`);
  database.close();
  return lines;
}

/**
 * Writes workerd's databases into `folder`, one file per class. A line `-- object ID` precedes each object.
 */
export function dump(disk, folder) {
  mkdirSync(folder, { recursive: true });
  for (const kind of readdirSync(disk).sort()) {
    const files = readdirSync(join(disk, kind)).filter((file) => file.endsWith(".sqlite") && file !== RUNTIME).sort();
    const blocks = files.map((file) => [`-- object ${file.slice(0, -".sqlite".length)}`, ...dumpOne(join(disk, kind, file)), ""].join("\n"));
    if (blocks.length) writeFileSync(join(folder, `${kind}.sql`), blocks.join("\n"));
  }
}

/** Creates the databases from such a folder. */
export function load(folder, disk) {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".sql"))) {
    const kind = file.slice(0, -".sql".length);
    const blocks = readFileSync(join(folder, file), "utf8").split(/^-- object /m).slice(1);
    for (const block of blocks) {
      const end = block.indexOf("\n");
      const path = join(disk, kind, `${block.slice(0, end)}.sqlite`);
      if (existsSync(path)) throw new Error(`two objects have the id ${path}`);
      mkdirSync(dirname(path), { recursive: true });
      const database = new DatabaseSync(path);
      database.exec(block.slice(end));
      database.close();
    }
  }
}
