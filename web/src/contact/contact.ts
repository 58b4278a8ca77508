import type { Contact, Contacts } from "../api/types";

/** Letters that a shell takes as they are; an id has no others, but what is shown may be pasted. */
const PLAIN = /^[\w.:-]+$/;

/** What an operator types to let a station in. */
export function acceptCommand(station: string): string {
  const word = PLAIN.test(station) && !station.startsWith("-") ? station : `-- '${station.replaceAll("'", "'\\''")}'`;
  return `weatherglass stations accept ${word}`;
}

export type Standing = "accepted" | "refused" | "waiting" | "nothing";

/** How a station stands with the doors. */
export function standing({ last, unconfirmed }: Pick<Contacts, "last" | "unconfirmed">): Standing {
  if (unconfirmed) return "waiting";
  if (!last) return "nothing";
  return last.outcome === "rejected" ? "refused" : "accepted";
}

/** The contacts to show: the last, and the last of the other kind, which tells what changed. */
export function shownContacts({ last, accepted, rejected }: Contacts): Contact[] {
  if (!last) return [];
  const other = last.outcome === "rejected" ? accepted : rejected;
  return other ? [last, other] : [last];
}

/** JSON by one name a line; anything else, and what was cut, as it came. */
export function readableRaw({ raw, cut }: Pick<Contact, "raw" | "cut">): string {
  if (cut) return `${raw} …`;
  try {
    const value: unknown = JSON.parse(raw);
    return typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : raw;
  } catch {
    return raw;
  }
}

/** Those that were refused and are registered: the others wait, and are listed as such. */
export const refusedOnly = (contacts: readonly Contacts[]): Contacts[] =>
  contacts.filter((contact) => standing(contact) === "refused");
