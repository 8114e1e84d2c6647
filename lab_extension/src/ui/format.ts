import type { TranslationBundle } from '@jupyterlab/translation';
import type { Parameter, Role, Run } from '../generated/api';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** A size in decimal units, to three digits. */
export function bytes(size: number): string {
  let value = size;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`;
}

/** A duration as people say it: `0.8 s`, `12 s`, `6 min 04 s`, `2 h 05 min`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) {
    return `${seconds < 0.095 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  }
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** A running clock, in whole seconds so that it ticks evenly. */
export function ticking(seconds: number): string {
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds));
}

/** How long ago a moment was. */
export function ago(time: string | number, trans: TranslationBundle, now = Date.now()): string {
  const moment = new Date(time);
  const minutes = Math.floor((now - moment.getTime()) / 60_000);
  if (minutes < 1) {
    return trans.__('just now');
  }
  if (minutes < 60) {
    return trans.__('%1 min ago', minutes);
  }
  if (minutes < 24 * 60) {
    return trans.__('%1 h ago', Math.floor(minutes / 60));
  }
  if (minutes < 7 * 24 * 60) {
    const days = Math.floor(minutes / (24 * 60));
    return trans._n('yesterday', '%1 days ago', days);
  }
  return moment.toLocaleDateString(undefined, {
    day: 'numeric',
    month: 'short',
    year: moment.getFullYear() === new Date(now).getFullYear() ? undefined : 'numeric'
  });
}

/** The exact moment, for a title. */
export function exact(time: string | number): string {
  return new Date(time).toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' });
}

/** A parameter's own value: as JSON where it is plain, else as the notebook writes it. */
export function initial({ default: value, source }: Parameter): string {
  return value === null ? source || 'null' : shown(value);
}

/** A parameter's value as it is written in JSON. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** The day of a moment, as people say it. */
export function day(time: string | number, trans: TranslationBundle, now = Date.now()): string {
  const moment = new Date(time);
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (moment.getTime() >= midnight) {
    return trans.__('Today');
  }
  if (moment.getTime() >= midnight - 24 * 3_600_000) {
    return trans.__('Yesterday');
  }
  return moment.toLocaleDateString(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
}

/** When something ends, in days or hours from now. */
export function until(time: string | number, trans: TranslationBundle, now = Date.now()): string {
  const hours = (new Date(time).getTime() - now) / 3_600_000;
  if (hours <= 0) {
    return trans.__('ended');
  }
  return hours < 48
    ? trans._n('ends in 1 hour', 'ends in %1 hours', Math.max(1, Math.round(hours)))
    : trans.__('ends in %1 days', Math.round(hours / 24));
}

/** Who started a run, also after it was handed to somebody else. */
export function starter({ author, owner }: Pick<Run, 'author' | 'owner'>): string {
  return author || owner;
}

/** A role in a team, as it is shown. */
export function roleName(role: Role, trans: TranslationBundle): string {
  return {
    owner: trans.__('owner'),
    admin: trans.__('admin'),
    member: trans.__('member'),
    viewer: trans.__('viewer')
  }[role];
}
