/** Files that are dropped on the page: a picture, a model's folder, a list of actions. */

import { Problem } from "./problem.js";
import { DESCRIPTION, DroppedFolder } from "./folder.js";

export const ACTIONS_FORMAT = "worldtokens.actions";

/** Returns {kind: "picture" | "folder" | "actions", ...} of what was dropped or chosen. */
export async function sortDropped(name, files) {
  if (files.has(DESCRIPTION)) return { kind: "folder", folder: new DroppedFolder(name, files) };
  const [first] = files.values();
  if (files.size === 1 && first.type.startsWith("image/")) return { kind: "picture", name: first.name, blob: first };
  if (files.size === 1 && first.name.endsWith(".json")) {
    let tree;
    try {
      tree = JSON.parse(await first.text());
    } catch {
      tree = null;
    }
    if (tree?.format === ACTIONS_FORMAT) return { kind: "actions", name: first.name, tree };
  }
  throw new Problem(`${name}: expected a picture, a saved list of actions, or a folder with ${DESCRIPTION} in it; this is none of them`);
}

/** Returns the name and the files of a drop, those of a dropped folder by their names in it. */
export async function filesOfDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = new Map();
  for (const entry of entries) {
    if (entry.isDirectory) for (const inner of await listFolder(entry)) files.set(inner.name, await fileOf(inner));
    else files.set(entry.name, await fileOf(entry));
  }
  if (!entries.length) for (const file of transfer.files) files.set(file.name, file);
  if (!files.size) throw new Problem(`${entries[0]?.name ?? "what was dropped"}: expected files, got none`);
  return { name: entries[0]?.name ?? [...files.keys()][0], files };
}

async function listFolder(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    for (const entry of some) if (entry.isFile) all.push(entry);
  }
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
