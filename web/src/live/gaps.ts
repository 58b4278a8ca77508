import type { ServerFrame } from "../api/types";

/**
 * Whether observations may have passed unseen before this frame. A server that cannot resume
 * from the cursor says so, or just begins again with a snapshot; either holds only the newest
 * observation, and the history between has to be read anew. `begun` gathers the subscriptions
 * whose first snapshot has come.
 */
export function leavesGap(frame: ServerFrame, begun: Set<string>): boolean {
  if (frame.type === "recovered") return !frame.complete;
  if (frame.type !== "snapshot") return false;
  if (begun.has(frame.id)) return true;
  begun.add(frame.id);
  return false;
}
