import type { FeatureCollection, Geometry } from "geojson";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import coarseUrl from "world-atlas/countries-50m.json?url";
import fineUrl from "world-atlas/countries-10m.json?url";

/** Natural Earth, public domain; shipped with the page because there may be no internet. */
export interface Geography {
  land: FeatureCollection | Geometry;
  borders: Geometry;
}

type Atlas = Topology<{ countries: GeometryCollection; land: GeometryCollection }>;

export async function loadGeography(detail: "coarse" | "fine"): Promise<Geography> {
  const response = await fetch(detail === "fine" ? fineUrl : coarseUrl);
  const atlas = (await response.json()) as Atlas;
  return {
    land: feature(atlas, atlas.objects.land) as FeatureCollection,
    // Only lines that two countries share: coasts are drawn by the land itself.
    borders: mesh(atlas, atlas.objects.countries, (a, b) => a !== b),
  };
}
