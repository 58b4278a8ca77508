import type { ServerFrame, SnapshotEntry, SnapshotFrame } from "../api/types";

/**
 * Large snapshots come in parts. Whoever follows the frames sees them as the one snapshot they
 * are: half of one must neither be shown as all there is nor taken for the next one.
 */
export class SnapshotParts {
  private readonly open = new Map<string, SnapshotEntry[]>();

  /** The frame to go on with; null while there is more of a snapshot to come. */
  join(frame: ServerFrame): ServerFrame | null {
    return frame.type === "snapshot" ? this.joinSnapshot(frame) : frame;
  }

  private joinSnapshot(frame: SnapshotFrame): SnapshotFrame | null {
    const before = this.open.get(frame.id);
    if (frame.more) {
      if (before) before.push(...frame.stations);
      else this.open.set(frame.id, [...frame.stations]);
      return null;
    }
    this.open.delete(frame.id);
    return before ? { ...frame, stations: [...before, ...frame.stations] } : frame;
  }

  /** The rest of what has begun won't come: the socket is gone. */
  clear(): void {
    this.open.clear();
  }
}
