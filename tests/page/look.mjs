// Pictures of views, for people who change them: `LOOK=folder make test-page` writes them.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

export async function look(tab, name) {
  const folder = process.env.LOOK;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await tab.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
