import type { FeatureCollection, Geometry, MultiLineString, Position } from "geojson";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import fineUrl from "world-atlas/countries-10m.json?url";
import coarseUrl from "world-atlas/countries-50m.json?url";

/** Natural Earth, public domain; shipped with the page because there may be no internet. */
export interface Geography {
  land: FeatureCollection;
  borders: Geometry;
}

type Atlas = Topology<{ countries: GeometryCollection; land: GeometryCollection }>;

/**
 * The atlas is made for globes: its rings step over the 180th meridian, which on a flat map
 * draws a line right across it. Going on past 180 instead keeps the ring whole; the map wraps it.
 */
export function unrolled(line: readonly Position[]): Position[] {
  let turn = 0;
  let before: number | undefined;
  return line.map(([longitude = 0, latitude = 0]) => {
    if (before !== undefined && longitude - before > 180) turn -= 360;
    if (before !== undefined && longitude - before < -180) turn += 360;
    before = longitude;
    return [longitude + turn, latitude];
  });
}

/** A ring around a pole ends a turn away from where it began; it is closed along the pole. */
export function unrolledRing(ring: readonly Position[]): Position[] {
  const open = unrolled(ring);
  const [first, last] = [open[0], open.at(-1)];
  if (!first || !last || Math.abs((last[0] ?? 0) - (first[0] ?? 0)) < 180) return open;
  const pole = (first[1] ?? 0) < 0 ? -90 : 90;
  return [...open, [last[0] ?? 0, pole], [first[0] ?? 0, pole], first];
}

function flattened(geometry: Geometry): Geometry {
  if (geometry.type === "Polygon") {
    return { ...geometry, coordinates: geometry.coordinates.map(unrolledRing) };
  }
  if (geometry.type === "MultiPolygon") {
    const coordinates = geometry.coordinates.map((polygon) => polygon.map(unrolledRing));
    return { ...geometry, coordinates };
  }
  return geometry;
}

export async function loadGeography(detail: "coarse" | "fine"): Promise<Geography> {
  const response = await fetch(detail === "fine" ? fineUrl : coarseUrl);
  const atlas = (await response.json()) as Atlas;
  const land = feature(atlas, atlas.objects.land);
  // Only lines that two countries share: coasts are drawn by the land itself.
  const borders: MultiLineString = mesh(atlas, atlas.objects.countries, (a, b) => a !== b);
  return {
    land: {
      ...land,
      features: land.features.map((part) => ({ ...part, geometry: flattened(part.geometry) })),
    },
    borders: { ...borders, coordinates: borders.coordinates.map(unrolled) },
  };
}
