// Made by `python -m nabla.typescript` from nabla.schema: change that, then run it again.

/** What a machine has, or has left. */
export interface Capacity {
  cpus: number;
  /** Bytes. */
  memory: number;
  gpus: number;
}

/** One change of a row, as the stream tells it. */
export interface Change {
  kind: string;
  id: string;
  project: string | null;
  state: string;
  version: number;
  deleted: boolean;
}

/** A stored thing: one row of the store, one body of the API, one value of the SDK. */
export interface Document {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user who made it. */
  owner: string;
  name: string;
  state: string;
  target: string;
  /** When it is looked at next. */
  due: string | null;
  created: string;
  updated: string;
  /** Counts the changes; send it back to update. */
  version: number;
  tags: string[];
}

/** What a run ran in. */
export interface Environment {
  python: string;
  kernel: string;
  /** SHA-256 of the package lock. */
  packages: string;
  image: string;
}

/** The commit that a folder was at, and what differed from it. */
export interface GitState {
  commit: string;
  branch: string;
  remote: string;
  dirty: boolean;
  /** Against the commit; cut at 1 MiB. */
  diff: string;
}

/** Whether the service works. Open to all: it names nothing that is anybody's. */
export interface Health {
  status: "ok" | "starting" | "failing";
  version: string;
  mode: "hub" | "solo" | "process";
}

/** A machine shape that work can be given. */
export interface Instance {
  name: string;
  /** vCPUs. */
  cpus: number;
  /** Bytes. */
  memory: number;
  gpus: number;
  gpu_type: string;
  /** Bytes of each GPU. */
  gpu_memory: number;
  /** Per hour, in the admin's currency. */
  price: number;
}

/** An instance, and how many of it could start now. */
export interface InstanceOffer {
  instance: Instance;
  free: number;
  total: number;
  default: boolean;
}

/** What can be had, what is free, and who waits. */
export interface Instances {
  offers: InstanceOffer[];
  queue: Queued[];
}

/** What a client sends to make a snapshot: every file by content, and the git state. */
export interface Manifest {
  files: SnapshotFile[];
  git?: GitState | null;
  /** What the packing left out, with the reason. */
  left_out?: string[];
}

/** Who the caller is. */
export interface Me {
  user: string;
  admin: boolean;
  /** Id of the caller's private team. */
  team: string;
  /** Name by id, of every team the caller is in. */
  teams: Record<string, string>;
  mode: "hub" | "solo" | "process";
  version: string;
}

/** What makes a project. */
export interface NewProject {
  name: string;
  /** Id or name; none: the caller's private team. */
  team?: string | null;
  description?: string;
  repository?: string;
  tags?: string[];
}

/** What starts a run. */
export interface NewRun {
  /** Path of the notebook inside the snapshot. */
  notebook: string;
  parameters?: Record<string, unknown>;
  /** Kernelspec; empty: the notebook's own. */
  kernel?: string;
  /** Empty: the default instance. */
  instance?: string;
  /** Seconds for one cell. */
  cell_timeout?: number | null;
  /** Seconds for the kernel to start. */
  start_timeout?: number;
  /** Seconds for the whole run. */
  timeout?: number | null;
  /** Id or name; none: the caller's default project. */
  project?: string | null;
  snapshot: string;
  /** None: the notebook's name. */
  name?: string | null;
  tags?: string[];
  origin?: "panel" | "cli" | "sdk" | "api";
}

/** What a form needs to know of a notebook before it runs. */
export interface NotebookSummary {
  path: string;
  kernel: string;
  language: string;
  cells: number;
  parameters: Parameter[];
  has_parameters_cell: boolean;
}

export interface Page<T> {
  items: T[];
  cursor: string | null;
  /** How many there are in all, when cheap to know. */
  total: number | null;
}

/** One name of a notebook's `parameters` cell: a typed field of the run form. */
export interface Parameter {
  name: string;
  type: "str" | "int" | "float" | "bool" | "list" | "dict" | "none" | "any";
  default: unknown;
  /** The default as written in the cell. */
  source: string;
  /** The comment on its line. */
  help: string;
  /** Of a Literal annotation. */
  choices: unknown[] | null;
  /** Whether None is a value too. */
  optional: boolean;
}

/** The body of every answer that is an error. */
export interface Problem {
  /** A sentence: what was wrong, where, what to do. */
  message: string;
  /** The class of `nabla.errors` that it is. */
  error: string;
  field: string | null;
}

/** How far a run is. */
export interface Progress {
  /** Code cells finished. */
  done: number;
  /** Code cells in all. */
  total: number;
  /** Index of the cell that runs now. */
  cell: number | null;
}

/** A grouping of work in a team. */
export interface Project {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user who made it. */
  owner: string;
  name: string;
  state: string;
  target: string;
  /** When it is looked at next. */
  due: string | null;
  created: string;
  updated: string;
  /** Counts the changes; send it back to update. */
  version: number;
  tags: string[];
  description: string;
  /** URL of its git repository. */
  repository: string;
  archived: boolean;
}

/** What may change in a project; what is left out stays. */
export interface ProjectChange {
  name?: string | null;
  description?: string | null;
  repository?: string | null;
  tags?: string[] | null;
  archived?: boolean | null;
  /** The version that was read; a newer one answers 409. */
  version?: number | null;
}

/** How much a project holds: what goes with it when it is deleted. */
export interface ProjectContents {
  runs: number;
  active_runs: number;
  snapshots: number;
}

/** Whether a project was deleted, and what went or would go with it. */
export interface ProjectDeletion {
  deleted: boolean;
  contents: ProjectContents;
}

/** Where something waits, and what for. */
export interface QueuePlace {
  /** 1 is next. */
  place: number;
  length: number;
  /** A sentence: what is missing, and who holds it. */
  waiting_for: string;
}

/** One line of the queue. */
export interface Queued {
  id: string;
  name: string;
  instance: string;
  place: QueuePlace;
}

/** What changes when a run is run again; what is left out stays. */
export interface Rerun {
  parameters?: Record<string, unknown> | null;
  instance?: string | null;
  origin?: "panel" | "cli" | "sdk" | "api";
}

export type Role = "owner" | "admin" | "member" | "viewer";

/** One execution of a notebook. */
export interface Run {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user who made it. */
  owner: string;
  name: string;
  state: string;
  target: string;
  /** When it is looked at next. */
  due: string | null;
  created: string;
  updated: string;
  /** Counts the changes; send it back to update. */
  version: number;
  tags: string[];
  /** Counts the runs of this name in the project. */
  number: number;
  spec: RunSpec;
  snapshot: string | null;
  git: GitState | null;
  origin: "panel" | "cli" | "sdk" | "api";
  rerun_of: string | null;
  /** Id of its workload: the run's id and the attempt. */
  workload: string;
  started: string | null;
  finished: string | null;
  /** A sentence on why it is in this state. */
  reason: string;
  queue: QueuePlace | null;
  progress: Progress;
  failure: RunFailure | null;
  environment: Environment | null;
  /** Bytes, of all its processes. */
  peak_memory: number | null;
  /** Ids of the GPUs that it was given. */
  gpus: string[];
  /** Stopped because the service was stopped. */
  interrupted: boolean;
  /** Where a run in place, without a service, worked. */
  folder: string | null;
  /** Where a run in place wrote its notebook. */
  output: string | null;
}

/** Why a run failed, and where. */
export interface RunFailure {
  /** One sentence. */
  reason: string;
  /** Index of the cell, counted from 0. */
  cell: number | null;
  ename: string;
  evalue: string;
  traceback: string[];
}

/** What a run was asked to do. */
export interface RunSpec {
  /** Path of the notebook inside the snapshot. */
  notebook: string;
  parameters: Record<string, unknown>;
  /** Kernelspec; empty: the notebook's own. */
  kernel: string;
  /** Empty: the default instance. */
  instance: string;
  /** Seconds for one cell. */
  cell_timeout: number | null;
  /** Seconds for the kernel to start. */
  start_timeout: number;
  /** Seconds for the whole run. */
  timeout: number | null;
}

export type RunState = "Pending" | "Running" | "Succeeded" | "Failed" | "Error" | "Canceled";

/** Files fixed at a moment. The id derives from team and content: equal folders are one snapshot. */
export interface Snapshot {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user who made it. */
  owner: string;
  name: string;
  state: string;
  target: string;
  /** When it is looked at next. */
  due: string | null;
  created: string;
  updated: string;
  /** Counts the changes; send it back to update. */
  version: number;
  tags: string[];
  files: number;
  /** Bytes. */
  size: number;
  git: GitState | null;
  left_out: string[];
}

/** One file of a snapshot. */
export interface SnapshotFile {
  /** Relative, with forward slashes. */
  path: string;
  sha256: string;
  /** Bytes. */
  size: number;
  executable: boolean;
}

/** The answer to a manifest: the snapshot's id, and the contents still to be uploaded. */
export interface SnapshotOffer {
  id: string;
  missing: string[];
}

/** A group of people, their roles, and all that is theirs. */
export interface Team {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user who made it. */
  owner: string;
  name: string;
  state: string;
  target: string;
  /** When it is looked at next. */
  due: string | null;
  created: string;
  updated: string;
  /** Counts the changes; send it back to update. */
  version: number;
  tags: string[];
  /** The team of one that every user has. */
  private: boolean;
  /** Role by user name. */
  members: Record<string, "owner" | "admin" | "member" | "viewer">;
}

export const FINAL_STATES: readonly string[] = ["Succeeded", "Failed", "Error", "Canceled"];
