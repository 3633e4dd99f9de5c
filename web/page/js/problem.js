/** What a player can do nothing about but read: one clear line. */
export class Problem extends Error {}

/** Returns the line that tells an error, whatever was thrown. */
export function lineOf(error) {
  if (error instanceof Problem) return error.message;
  const text = String(error?.message ?? error).split("\n")[0];
  return `something unexpected happened: ${text}; reload the page to try again`;
}
