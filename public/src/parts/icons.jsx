// Icons of 16 by 16, drawn with lines.

const PATHS = {
  start: "M8 2v8M4.8 6.8 8 10l3.2-3.2M2.5 13.5h11",
  overview: "M2.5 13.5v-5M6.2 13.5v-9M9.8 13.5v-6.5M13.5 13.5V2.5",
  requests: "M2.5 4h11M2.5 8h11M2.5 12h7",
  live: "M2 8h2.5l2-4.5 3 9 2-4.5H14",
  keys: "M10.2 9.2a3.3 3.3 0 1 0-3.4-3.4L2.5 10v3.5H6V12h1.5v-1.5L8.8 9z",
  models: "M8 2l5.5 3v6L8 14l-5.5-3V5zM2.5 5 8 8l5.5-3M8 8v6",
  playground: "M3 3.5h10v7H7L4 13v-2.5H3z",
  config: "M3 4.5h6M12 4.5h1M3 11.5h1M7 11.5h6M10.5 3v3M5.5 10v3",
  logs: "M3.5 2.5h9v11h-9zM6 6h4M6 8.5h4M6 11h2.5",
  alerts: "M4 11V7.5a4 4 0 0 1 8 0V11l1 1H3zM6.8 14h2.4",
  audit: "M8 2l5 2v3.5c0 3-2 5.4-5 6.5-3-1.1-5-3.5-5-6.5V4zM6 8l1.5 1.5L10.2 6.5",
  usage: "M2.5 13.5v-5M6.2 13.5v-9M9.8 13.5v-6.5M13.5 13.5V2.5",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3M8 11.4v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5V11M8 5.2v.1",
  copy: "M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3",
  check: "M3 8.5l3.2 3.2L13 4.8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "M4 4l8 8M12 4l-8 8",
  download: "M8 2.5v7M5 6.8l3 2.9 3-2.9M3 13.5h10",
};

export function Icon({ name }) {
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round">
      <path d="M1.5 14.5h17M4 14.5c0-9 12-9 12 0M7.8 14.5V9.2M12.2 14.5V9.2" />
    </svg>
  );
}
