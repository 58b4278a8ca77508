import { describe, expect, it } from "vitest";

import type { Contact, Contacts } from "../api/types";
import { acceptCommand, readableRaw, refusedOnly, shownContacts, standing } from "./contact";

const contact = (outcome: Contact["outcome"], more: Partial<Contact> = {}): Contact => ({
  time: "2026-11-23T08:00:00Z",
  door: "json",
  outcome,
  raw: "{}",
  cut: false,
  ...more,
});
const accepted = contact("accepted");
const rejected = contact("rejected", { field: "time", reason: "bad_time", detail: "RFC 3339" });
const unconfirmed = { first: "2026-11-23T08:00:00Z", last: "2026-11-23T08:00:00Z", refused: 1 };
const of = (more: Partial<Contacts>): Contacts => ({ station: "X1", ...more });

describe("standing", () => {
  it("waits as long as nobody has accepted it, whatever came last", () => {
    expect(standing({ last: rejected, unconfirmed })).toBe("waiting");
    expect(standing({ unconfirmed })).toBe("waiting");
  });

  it("goes by the last contact", () => {
    expect(standing({ last: rejected })).toBe("refused");
    expect(standing({ last: accepted })).toBe("accepted");
    expect(standing({ last: contact("duplicate") })).toBe("accepted");
    expect(standing({})).toBe("nothing");
  });
});

describe("shownContacts", () => {
  it("shows the last first, and the last of the other kind", () => {
    expect(shownContacts(of({ last: rejected, rejected, accepted }))).toEqual([rejected, accepted]);
    expect(shownContacts(of({ last: accepted, rejected, accepted }))).toEqual([accepted, rejected]);
    expect(shownContacts(of({ last: accepted, accepted }))).toEqual([accepted]);
    expect(shownContacts(of({}))).toEqual([]);
  });
});

describe("acceptCommand", () => {
  it("can be pasted into a shell", () => {
    expect(acceptCommand("KJFK:roof-2")).toBe("weatherglass stations accept KJFK:roof-2");
    expect(acceptCommand("-x")).toBe("weatherglass stations accept -- '-x'");
    expect(acceptCommand("a'; rm b")).toBe("weatherglass stations accept -- 'a'\\''; rm b'");
  });
});

describe("readableRaw", () => {
  it("lays JSON out, and leaves everything else as it came", () => {
    expect(readableRaw({ raw: '{"a":1,"b":[2]}', cut: false })).toBe('{\n  "a": 1,\n  "b": [\n    2\n  ]\n}');
    expect(readableRaw({ raw: "ID=X&tempf=50", cut: false })).toBe("ID=X&tempf=50");
    expect(readableRaw({ raw: '{"password":***}', cut: false })).toBe('{"password":***}');
    expect(readableRaw({ raw: "12", cut: false })).toBe("12");
    expect(readableRaw({ raw: '{"a":1', cut: true })).toBe('{"a":1 …');
  });
});

it("lists as refused only those that do not wait", () => {
  const list = [of({ last: rejected }), of({ last: rejected, unconfirmed }), of({ last: accepted })];
  expect(refusedOnly(list)).toEqual([list[0]]);
});
