/** The file that names the others, and makes them count. */
export const MANIFEST = "manifest.json";

/** Files in the order in which the box takes them: the manifest is the last. A name counts once. */
export function inOrder<T extends { name: string }>(files: readonly T[]): T[] {
  const once = new Map(files.map((file) => [file.name, file]));
  const isLast = (file: T) => Number(file.name === MANIFEST);
  return [...once.values()].sort((a, b) => isLast(a) - isLast(b) || (a.name < b.name ? -1 : 1));
}
