/** Small line drawings; always beside words that say the same. */

const PATHS = {
  view: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  click: "M6 6l7.5 3-3.3 1.2L9 13.5 6 6Z M3.5 3.5l1 1 M7 2v1.5 M2 7h1.5",
  theme: "M8 1.8a6.2 6.2 0 1 0 0 12.4V1.8Z M8 1.8a6.2 6.2 0 0 1 0 12.4",
  letter: "M2 4h12v8.5H2V4Z M2 4.5l6 4.5 6-4.5",
  download: "M8 2v8 M4.8 7 8 10.2 11.2 7 M2.5 13.5h11",
  link: "M6.5 3.5H3v9.5h9.5V9.5 M9 2.5h4.5V7 M13.2 2.8 7.5 8.5",
  form: "M3 2.5h10v11H3v-11Z M5.5 6h5 M5.5 9h3",
  scroll: "M8 2v12 M5 5l3-3 3 3 M5 11l3 3 3-3",
  custom: "M8 2l1.6 4.4L14 8l-4.4 1.6L8 14l-1.6-4.4L2 8l4.4-1.6L8 2Z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z M8 1v1.5 M8 13.5V15 M1 8h1.5 M13.5 8H15 M3 3l1.1 1.1 M11.9 11.9 13 13 M3 13l1.1-1.1 M11.9 4.1 13 3",
  moon: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3Z",
  screen: "M2 3h12v8H2V3Z M6 13.5h4 M8 11v2.5",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  table: "M2 3h12v10H2V3Z M2 6.5h12 M2 10h12 M6.5 3v10",
  chart: "M2.5 13.5v-5 M6.2 13.5v-9 M9.8 13.5V7 M13.5 13.5V2.5",
  retry: "M13 8a5 5 0 1 1-1.6-3.7 M13.2 2v3h-3",
  copy: "M5.5 5.5h8v8h-8v-8Z M10.5 5.5v-3h-8v8h3",
  check: "M3 8.5 6.5 12 13 4.5",
  cross: "M4 4l8 8 M12 4l-8 8",
  filter: "M2 3.5h12 M4.5 8h7 M6.5 12.5h3",
  bookmark: "M4 2.5h8v11L8 10.5 4 13.5v-11Z",
  clock: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12Z M8 5v3.2l2 1.3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
