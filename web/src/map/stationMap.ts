import "maplibre-gl/dist/maplibre-gl.css";

import type { GeoJSONSource, Map as MapLibreMap, MapLayerMouseEvent } from "maplibre-gl";
import maplibre from "maplibre-gl/dist/maplibre-gl-csp";
import workerUrl from "maplibre-gl/dist/maplibre-gl-csp-worker.js?url";

import { boundsOf, type Markers } from "./features";
import { loadGeography } from "./geography";
import { BORDERS, DISC, discImage, LAND, mapStyle, STATIONS, TOUCHABLE } from "./style";

// The worker comes from the page's own origin as a file: the security policy allows no other.
maplibre.setWorkerUrl(workerUrl);

/** Closer than this the coarse coastline shows its corners. */
const FINE_FROM_ZOOM = 5;
const PULSES_AT_ONCE = 40;

// Coming back from a station must show the map as it was left.
let lastCamera: { center: [number, number]; zoom: number } | null = null;

export interface StationMapEvents {
  onOpen(id: string): void;
}

export function webglWorks(): boolean {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}

/** The map behind a narrow door: markers in, clicks out. */
export class StationMap {
  private readonly map: MapLibreMap;
  private readonly popup = new maplibre.Popup({ closeButton: false, closeOnClick: false, offset: 18 });
  private markers: Markers = { type: "FeatureCollection", features: [] };
  private fitted = lastCamera !== null;
  private fine = false;
  private pulsing = 0;
  private destroyed = false;

  constructor(
    container: HTMLElement,
    private readonly events: StationMapEvents,
  ) {
    this.map = new maplibre.Map({
      container,
      style: mapStyle(),
      center: lastCamera?.center ?? [10, 30],
      zoom: lastCamera?.zoom ?? 1.2,
      maxZoom: 13,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      // The whole world once: stations would otherwise repeat beside themselves.
      renderWorldCopies: false,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new maplibre.ScaleControl({}), "bottom-right");
    // Not "load": that waits for a moment without new data, which a busy network never has.
    this.map.on("style.load", () => this.styleLoaded());
    // Asked for rather than pushed: a change of style forgets its images.
    this.map.on("styleimagemissing", ({ id }) => this.addImage(id));
    this.map.on("moveend", () => void this.moved());
    this.listenToPointer();
  }

  /** At the start and after each change of theme, which begins with empty sources. */
  private styleLoaded(): void {
    this.put(STATIONS, this.markers);
    this.fit();
    void this.drawGeography(this.fine ? "fine" : "coarse");
  }

  private addImage(id: string): void {
    if (id !== DISC || this.map.hasImage(DISC)) return;
    this.map.addImage(DISC, discImage(), { sdf: true, pixelRatio: 2 });
  }

  private async drawGeography(detail: "coarse" | "fine"): Promise<void> {
    // Without its coast the map still shows every station, so a failed load is no error.
    const geography = await loadGeography(detail).catch(() => null);
    const late = this.destroyed || (detail === "coarse" && this.fine);
    if (!geography || late) return;
    this.put(LAND, geography.land);
    this.put(BORDERS, geography.borders);
  }

  private async moved(): Promise<void> {
    const { lng, lat } = this.map.getCenter();
    lastCamera = { center: [lng, lat], zoom: this.map.getZoom() };
    if (this.fine || this.map.getZoom() < FINE_FROM_ZOOM) return;
    this.fine = true;
    await this.drawGeography("fine");
  }

  private put(source: string, data: Parameters<GeoJSONSource["setData"]>[0]): void {
    (this.map.getSource(source) as GeoJSONSource | undefined)?.setData(data);
  }

  setMarkers(markers: Markers): void {
    this.markers = markers;
    if (!this.map.getSource(STATIONS)) return;
    this.put(STATIONS, markers);
    this.fit();
  }

  /** Once, when there first is something to look at: later the view belongs to its reader. */
  private fit(): void {
    const bounds = boundsOf(this.markers);
    if (this.fitted || !bounds) return;
    this.fitted = true;
    this.map.fitBounds(bounds, { padding: 56, maxZoom: 9, animate: false });
  }

  retheme(): void {
    this.map.setStyle(mapStyle(), { diff: false });
  }

  /** A ring that widens and goes, where an observation just came in. */
  pulse(id: string): void {
    if (this.pulsing >= PULSES_AT_ONCE || document.hidden) return;
    const marker = this.markers.features.find((feature) => feature.properties.id === id);
    if (!marker) return;
    const element = document.createElement("span");
    element.className = "map-pulse";
    const ring = document.createElement("i");
    ring.style.borderColor = marker.properties.colour;
    element.append(ring);
    const shown = new maplibre.Marker({ element }).setLngLat(marker.geometry.coordinates as [number, number]);
    shown.addTo(this.map);
    this.pulsing += 1;
    setTimeout(() => {
      shown.remove();
      this.pulsing -= 1;
    }, 1600);
  }

  private listenToPointer(): void {
    this.map.on("mousemove", TOUCHABLE, (event: MapLayerMouseEvent) => {
      const found = event.features?.[0];
      if (!found) return;
      this.map.getCanvas().style.cursor = "pointer";
      const { name, label } = found.properties as { name: string; label: string };
      const at = (found.geometry as unknown as { coordinates: [number, number] }).coordinates;
      // setText, never HTML: names come from strangers.
      this.popup.setLngLat(at).setText(label ? `${name}  ${label}` : name).addTo(this.map);
    });
    this.map.on("mouseleave", TOUCHABLE, () => {
      this.map.getCanvas().style.cursor = "";
      this.popup.remove();
    });
    this.map.on("click", TOUCHABLE, (event: MapLayerMouseEvent) => {
      const id: unknown = event.features?.[0]?.properties.id;
      if (typeof id === "string") this.events.onOpen(id);
    });
  }

  destroy(): void {
    this.destroyed = true;
    this.map.remove();
  }
}
