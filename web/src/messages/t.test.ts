import { describe, expect, it } from "vitest";

import { t } from "./t";

describe("t", () => {
  it("fills its braces", () => {
    expect(t("network.count", { shown: 3, total: 10 })).toBe("3 of 10");
    expect(t("app.name")).toBe("Weatherglass");
  });
  it("takes values as they are, also those that look like braces or patterns", () => {
    expect(t("network.noMatch", { query: "$& {query}" })).toBe("No station is called “$& {query}”.");
  });
});
