// Made by `python -m nabla.typescript` from nabla.schema: change that, then run it again.

/** The invitation that is taken up: the token of its link, or the id of one to the caller. */
export interface Acceptance {
  token: string | null;
  invitation: string | null;
}

/** One sentence of the feed: `text` names `link`, if any, by the words in `name`. */
export interface Activity {
  id: number;
  time: string;
  actor: string;
  /** The sentence without who did it. */
  text: string;
  kind: string;
  object: string;
  name: string;
  project: string | null;
  /** Whether what it speaks of does not exist any more. */
  gone: boolean;
}

/** A key that speaks for its owner within its scopes. Only a hash of it is kept, and not here. */
export interface ApiKey {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  scopes: ("read" | "run" | "deploy" | "admin")[];
  /** Id of the one project it opens; none: all. */
  only_project: string | null;
  /** Id of the account it speaks for. */
  service_account: string | null;
  expires: string | null;
  /** To the minute. */
  last_used: string | null;
  /** Its first characters, to tell it from others. */
  hint: string;
  /** Id of the key that made it: revoked with it, and never longer-lived. */
  made_by: string | null;
}

/** Whether lines of the log still follow from each other, as far as they were looked at. */
export interface AuditCheck {
  /** Lines that were looked at and are right. */
  checked: number;
  /** The number of the last of them: go on after it. */
  last: number;
  /** Its hash: who keeps number and hash can tell later that it is the same. */
  hash: string;
  /** Whether lines follow that were not looked at. */
  more: boolean;
  /** What is wrong with the line after; empty: nothing. */
  problem: string;
}

/** One line of the audit log. */
export interface AuditEntry {
  /** Counts the lines; a line is never changed. */
  id: number;
  time: string;
  /** The user, or empty: nobody was signed in, or the service by itself. */
  actor: string;
  /** How they proved it: cookie, page, token, key, local, hub. */
  via: string;
  /** Id of the API key that spoke for them. */
  key: string;
  address: string;
  /** create, change, delete, sign-in, read, … */
  verb: string;
  /** The noun. */
  kind: string;
  /** The id. */
  object: string;
  name: string;
  team: string;
  project: string;
  outcome: "done" | "denied" | "failed";
  /** Of what changed, as it was. */
  before: Record<string, unknown> | null;
  /** Of what changed, as it is. */
  after: Record<string, unknown> | null;
  /** A sentence, where there is more to say. */
  detail: string;
  /** Equal denied attempts that this line stands for. */
  count: number;
  /** Of this line and, through the one before, of all before it. */
  hash: string;
}

/** Something that a person owns in a team. */
export interface Belonging {
  kind: string;
  id: string;
  name: string;
  project: string | null;
  /** The namespace of the team. */
  team: string;
  /** Whose it is. */
  owner: string;
  /** Who gets it. */
  to: string;
}

/** A place in S3. Both keys are left out for one that everybody may read. */
export interface Bucket {
  /** `s3://BUCKET` or `s3://BUCKET/FOLDER`. */
  url: string;
  /** URL of the service; empty: Amazon's. */
  endpoint: string;
  region: string;
  /** The access key, or `secret:NAME`. */
  access_key: string;
  /** `secret:NAME`: never the key itself. */
  secret_access_key: string;
}

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

/** What a collection of garbage removed, or (`dry_run`) would remove. */
export interface Collected {
  dry_run: boolean;
  objects: number;
  size: number;
  /** Objects that versions name. */
  kept: number;
  /** Objects that nobody names, too young to be sure. */
  young: number;
  /** Stores that could not be reached: which and why, in a sentence. */
  skipped: string[];
}

/** A file of a version whose content in the store is not what was committed. */
export interface DamagedFile {
  path: string;
  md5: string;
  /** One sentence. */
  reason: string;
}

/** Named data of a team. */
export interface Dataset {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  /** Id of where its contents lie. */
  storage_provider: string;
  /** How many are committed. */
  versions: number;
  /** The newest committed version; empty: there is none. */
  latest: string;
  /** Versions (7 characters) by tag; tags move. */
  version_tags: Record<string, unknown>;
  /** Bytes of the newest version. */
  size: number;
  /** Files of the newest version. */
  files: number;
}

/** What may change in a dataset; what is left out stays. */
export interface DatasetChange {
  name: string | null;
  description: string | null;
  tags: string[] | null;
  /** The version that was read; a newer one answers 409. */
  version: number | null;
}

/** One line of a listing: a file, or a folder with all that is in it. */
export interface DatasetFile {
  path: string;
  type: "file" | "folder";
  /** Bytes; of a folder: of all files in it. */
  size: number;
  /** Of a folder: how many files are in it, however deep. */
  files: number;
  /** Empty for a folder. */
  md5: string;
}

/** A version laid out for its reader: where, or how far it is. */
export interface DatasetMount {
  name: string;
  dataset: string;
  /** `ds…:version`. */
  version: string;
  state: "Laying out" | "Ready" | "Failed";
  /** Absolute, as the reader sees it; once it is ready. */
  path: string;
  /** Bytes that are there. */
  done: number;
  total: number;
  reason: string;
}

/** Who read a version: a run, or a person in a notebook. */
export interface DatasetRead {
  version: string;
  run: string;
  run_name: string;
  project: string;
  user: string;
  first: string;
  last: string;
  count: number;
}

/** The files of a dataset, fixed once committed. Its id is `DATASET:version`, its name the version. */
export interface DatasetVersion {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  /** Id of its dataset. */
  parent: string;
  message: string;
  /** MD5 of its `.dir` object, with that ending; set at the commit. */
  hash: string;
  files: number;
  /** Bytes of all files. */
  size: number;
  /** Bytes that it added to the store. */
  added: number;
  committed: string | null;
  /** The user who had it committed. */
  committed_by: string;
  /** The version that it began as a copy of. */
  base: string;
  made_by: Lineage;
  warnings: string[];
  /** Why the last commit did not work: one sentence. */
  failure: string;
}

/** What may change in a version, also a committed one. */
export interface DatasetVersionChange {
  message: string | null;
  /** The version that was read; a newer one answers 409. */
  version: number | null;
}

/** How much differs between two versions. */
export interface DifferenceCount {
  added: number;
  removed: number;
  changed: number;
  unchanged: number;
  added_bytes: number;
  removed_bytes: number;
}

/** A stored thing: one row of the store, one body of the API, one value of the SDK. */
export interface Document {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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

/** How contents are fetched: below `folder` of this disk, by signed URLs, or through the service. */
export interface DownloadPlan {
  how: "direct" | "urls" | "service";
  folder: string;
  urls: Record<string, unknown>;
}

/** What became of changes that were sent: with something `missing`, nothing was changed. */
export interface Entered {
  entered: number;
  deleted: number;
  missing: string[];
}

/** What a run ran in. */
export interface Environment {
  python: string;
  kernel: string;
  /** SHA-256 of the package lock. */
  packages: string;
  image: string;
}

/** One path that differs between two versions. */
export interface FileDifference {
  path: string;
  change: "added" | "removed" | "changed";
  before: DatasetFile | null;
  after: DatasetFile | null;
}

/** One change of the files of an uncommitted version: a file with content, or (`gone`) none any more. `gone` also takes a folder: all files in it. */
export interface FileEntry {
  path: string;
  md5: string | null;
  size: number;
  gone: boolean;
}

/** One thing that a search found. */
export interface Found {
  kind: string;
  id: string;
  name: string;
  team: string;
  project: string | null;
  state: string;
  tags: string[];
  updated: string;
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

/** What a group of the identity provider stands for in a team. */
export interface GroupRule {
  /** A pattern (regular expression) that the whole group matches. */
  group: string;
  /** The team's namespace; `\1` is the first part of the pattern. */
  team: string;
  role: "owner" | "admin" | "member" | "viewer";
  /** Whether the team is made when there is none. */
  create: boolean;
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

/** That somebody may join a team: whoever holds its link, or (`user`) one person. */
export interface Invitation {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  role: "owner" | "admin" | "member" | "viewer";
  /** Only this user may take it up; empty: whoever holds the link. */
  user: string;
  /** The namespace of the team. */
  team_name: string;
  expires: string;
}

/** The token of an invitation's link. */
export interface InvitationToken {
  token: string;
}

export type KeyScope = "read" | "run" | "deploy" | "admin";

/** One of the keys that secrets lie under. */
export interface KeyState {
  id: string;
  /** How many values lie under it. */
  values: number;
  /** Whether the key itself is where it should be. */
  there: boolean;
}

/** What made a version: all that is known of it. */
export interface Lineage {
  run: string;
  run_name: string;
  project: string;
  notebook: string;
  parameters: Record<string, unknown>;
  /** The git commit that the run worked on. */
  commit: string;
  /** Versions (`ds…:version`) that the run read. */
  inputs: string[];
  /** Where it was taken from: a folder, a URL, a repository. */
  source: string;
}

/** A notebook shown as it was: `source` is a run's output, or a file of a snapshot. */
export interface Link {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  audience: "anyone" | "users";
  run: string | null;
  snapshot: string | null;
  /** The notebook's path. */
  path: string;
  expires: string | null;
}

/** What opens a link. */
export interface LinkToken {
  token: string;
}

/** A key, and its text: shown this once. */
export interface MadeApiKey {
  api_key: ApiKey;
  key: string;
}

/** An invitation, and the token of its link: shown this once. */
export interface MadeInvitation {
  invitation: Invitation;
  token: string;
}

/** A link, and its address: told this once, because only a hash of its token is kept. */
export interface MadeLink {
  link: Link;
  /** Where it is shown, below the service's address. */
  url: string;
  /** What in the notebook looks like a secret, a sentence each. */
  warnings: string[];
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
  /** The caller's role by id of a team that they are in. */
  roles: Record<string, "owner" | "admin" | "member" | "viewer">;
  /** Name by id, of other teams that share a project with the caller. */
  lenders: Record<string, string>;
  /** Id of the API key that speaks for the caller. */
  key: string;
  mode: "hub" | "solo" | "process";
  version: string;
}

/** That a user (`owner` and `name`) is in a team, and as what. */
export interface Membership {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  role: "owner" | "admin" | "member" | "viewer";
  /** How they came in; `group`: by the identity provider, until it says no. */
  source: "made" | "added" | "invitation" | "group";
}

/** The role that somebody gets in a team; who is not in it yet is added. */
export interface MembershipChange {
  role: "owner" | "admin" | "member" | "viewer";
}

/** What makes a key. */
export interface NewApiKey {
  name: string;
  scopes: ("read" | "run" | "deploy" | "admin")[];
  /** Id or name of the one project it opens. */
  project: string | null;
  /** Id of the service account it speaks for. */
  service_account: string | null;
  /** How long it works; null: for ever. */
  days: number | null;
}

/** What the hub adds to the log: sign-ins, accounts, servers. */
export interface NewAuditEntry {
  actor: string;
  address: string;
  verb: string;
  kind: string;
  name: string;
  outcome: "done" | "denied" | "failed";
  detail: string;
}

/** What makes a dataset. */
export interface NewDataset {
  name: string;
  /** Id or name; none: the caller's private team. */
  team: string | null;
  description: string;
  /** Id or name; none: the managed one. */
  storage_provider: string | null;
  tags: string[];
}

/** What begins a version. */
export interface NewDatasetVersion {
  message: string;
  /** Version or tag whose files it begins with; none: it begins empty. */
  base: string | null;
  made_by: Lineage;
}

/** What makes an invitation. */
export interface NewInvitation {
  role: "owner" | "admin" | "member" | "viewer";
  /** Empty: a link for whoever holds it. */
  user: string;
  /** How long it can be taken up. */
  hours: number;
}

/** What makes a link: a run, or a snapshot and the path of a notebook in it. */
export interface NewLink {
  run: string | null;
  snapshot: string | null;
  path: string | null;
  /** Id or name; of a run: its own. */
  project: string | null;
  name: string | null;
  audience: "anyone" | "users";
  /** How long it is shown; null: for ever. */
  days: number | null;
}

/** What is to be shown in the caller's notebook server, and by which name. */
export interface NewMount {
  /** Empty: the dataset's name. */
  name: string;
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
  /** Variables of its environment; `secret:NAME` stands for the value of a secret. */
  env?: Record<string, string>;
  /** `secret:NAME` by path, in the folder that the variable NABLA_SECRET_FILES names. */
  secret_files?: Record<string, string>;
  /** Versions of datasets that it reads, in `/inputs/NAME`. */
  inputs?: Record<string, string>;
  /** Datasets that get what it leaves in `/outputs/NAME` as a new version, when it succeeds. */
  outputs?: Record<string, string>;
  /** Versions in `/datasets/NAME`; none: what `.gradient/settings.yaml` beside it names. */
  datasets?: Record<string, string> | null;
  /** Id or name; none: the caller's default project. */
  project?: string | null;
  snapshot: string;
  /** None: the notebook's name. */
  name?: string | null;
  tags?: string[];
  origin?: "panel" | "cli" | "sdk" | "api";
}

/** What sets a secret: a new one, or a new value of one. */
export interface NewSecret {
  name: string;
  value: string;
  type: "value" | "registry" | "git" | "storage";
  about: Record<string, string>;
}

/** What makes a service account. */
export interface NewServiceAccount {
  name: string;
  role: "member" | "viewer" | "admin";
  description: string;
}

/** Whom a project is shared with. */
export interface NewShare {
  /** Id or name of a team. */
  team: string | null;
  /** A user. */
  user: string | null;
  access: "read" | "write";
}

/** What makes a storage provider. */
export interface NewStorageProvider {
  name: string;
  /** Id or name; none: the caller's private team; `cluster`: for everybody. */
  team: string | null;
  type: "s3";
  bucket: string;
  access_key: string;
  secret_access_key: string;
  endpoint: string;
  region: string;
  signature_version: "s3v4" | "s3";
  tags: string[];
}

/** What makes a team; who makes it is its owner. */
export interface NewTeam {
  name: string;
  description: string;
}

/** What a form needs to know of a notebook before it runs. */
export interface NotebookSummary {
  path: string;
  kernel: string;
  language: string;
  cells: number;
  parameters: Parameter[];
  has_parameters_cell: boolean;
  /** What looks like a secret in it, by cell and line; never the text. */
  warnings: string[];
}

/** A link as whoever holds its address sees it, and the notebook to copy. */
export interface OpenedLink {
  link: Link;
  notebook: Record<string, unknown>;
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

/** What is lacking of a content that is sent in parts: some of it, until nothing is any more. */
export interface PartsPlan {
  /** To be sent back when all parts are there. */
  upload: string;
  parts: SignedPart[];
  /** Bytes that are there. */
  received: number;
  /** The store has the content. */
  complete: boolean;
}

/** The groups that the identity provider says a person is in. */
export interface PersonsGroups {
  groups: string[];
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
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  links: number;
}

/** Whether a project was deleted, and what went or would go with it. */
export interface ProjectDeletion {
  deleted: boolean;
  contents: ProjectContents;
}

/** One line of the catalogue of public datasets, and whether it was fetched. */
export interface PublicDataset {
  name: string;
  title: string;
  description: string;
  licence: string;
  homepage: string;
  /** Bytes, unpacked or as fetched; 0: unknown. */
  size: number;
  sources: string[];
  state: "Listed" | "Fetching" | "Ready" | "Failed";
  /** Id, once it was fetched. */
  dataset: string;
  done: number;
  total: number;
  reason: string;
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

/** How much of a content that is sent in pieces is there. */
export interface Received {
  received: number;
  complete: boolean;
}

/** What a person owns in a team, and whether they were removed and it was handed over. */
export interface Removal {
  removed: boolean;
  belongings: Belonging[];
  /** How many are not listed here. */
  more: number;
  /** Who gets it; of several teams, all who do. */
  transferred_to: string;
}

/** What changes when a run is run again; what is left out stays. */
export interface Rerun {
  parameters?: Record<string, unknown> | null;
  instance?: string | null;
  env?: Record<string, string> | null;
  secret_files?: Record<string, string> | null;
  /** None: the versions that it read before. */
  inputs?: Record<string, string> | null;
  outputs?: Record<string, string> | null;
  /** None: the versions that it read before. */
  datasets?: Record<string, string> | null;
  origin?: "panel" | "cli" | "sdk" | "api";
}

export type Role = "owner" | "admin" | "member" | "viewer";

/** One execution of a notebook. */
export interface Run {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  /** Started with a key that opens this project only: so do its secrets. */
  only_project: boolean;
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
  /** The versions (`ds…:version`) that it reads in `/inputs`, by name. */
  inputs: Record<string, string>;
  /** The versions (`ds…:version`) that it made, by name; once it has. */
  outputs: Record<string, string>;
  /** The versions that it reads in `/datasets`, by name. */
  datasets: Record<string, string>;
  /** Buckets that are copied to `/datasets` when it starts, by name. */
  buckets: Record<string, Bucket>;
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
  /** Variables of its environment; `secret:NAME` stands for the value of a secret. */
  env: Record<string, string>;
  /** `secret:NAME` by path, in the folder that the variable NABLA_SECRET_FILES names. */
  secret_files: Record<string, string>;
  /** Versions of datasets that it reads, in `/inputs/NAME`. */
  inputs: Record<string, string>;
  /** Datasets that get what it leaves in `/outputs/NAME` as a new version, when it succeeds. */
  outputs: Record<string, string>;
  /** Versions in `/datasets/NAME`; none: what `.gradient/settings.yaml` beside it names. */
  datasets: Record<string, string> | null;
}

export type RunState = "Pending" | "Running" | "Succeeded" | "Failed" | "Error" | "Canceled";

/** What is known of a secret: everything but its value. */
export interface Secret {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  scope: "team" | "cluster" | "project" | "user";
  type: "value" | "registry" | "git" | "storage";
  /** How often it was set: the number of its newest value. */
  values: number;
  /** Of a credential, what is no secret: its URL, user, region. */
  about: Record<string, string>;
  /** When work was last given it, to the minute. */
  used: string | null;
}

/** The keys that secrets lie under, newest first. */
export interface SecretKeys {
  /** Where the keys are: a file, or a variable. */
  place: string;
  keys: KeyState[];
  /** Whether values are still being moved under the newest. */
  moving: boolean;
}

/** One value that a secret has or had; the value itself is told to nobody. */
export interface SecretVersion {
  number: number;
  created: string;
  by: string;
  /** Id of the encryption key that it lies under; empty: a newer value replaced it. */
  key: string;
}

/** An upload of which all parts are there. */
export interface SentParts {
  size: number;
  upload: string;
}

/** A user of a team that is no person: owns what production needs, and does not leave. */
export interface ServiceAccount {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  role: "owner" | "admin" | "member" | "viewer";
  /** The user that it acts as: `service:NAME@TEAM`. */
  user: string;
  description: string;
}

/** That a project (`project`) of another team is open to the team `team`. */
export interface Share {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  access: "read" | "write";
  /** Id of the team that the project belongs to. */
  source: string;
  /** The team's namespace, or the user whose private team it is. */
  grantee: string;
}

/** Where a part goes. */
export interface SignedPart {
  /** From 1. */
  number: number;
  /** PUT with `headers`; it works for an hour. */
  url: string;
  headers: Record<string, string>;
}

/** Files fixed at a moment. The id derives from team and content: equal folders are one snapshot. */
export interface Snapshot {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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

/** Where contents of datasets lie. Its keys are write-only: `access_key_hint` shows the last four. */
export interface StorageProvider {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  type: "managed" | "s3";
  /** The bucket, with a prefix after a slash if it has one. */
  bucket: string;
  /** URL of the S3 service; empty: Amazon's. */
  endpoint: string;
  region: string;
  signature_version: "s3v4" | "s3";
  /** The end of the access key. */
  access_key_hint: string;
  /** How often its keys were set. */
  keys_set: number;
}

/** What may change in a storage provider; what is left out stays. */
export interface StorageProviderChange {
  name: string | null;
  bucket: string | null;
  access_key: string | null;
  secret_access_key: string | null;
  endpoint: string | null;
  region: string | null;
  signature_version: "s3v4" | "s3" | null;
  tags: string[] | null;
  /** The version that was read; a newer one answers 409. */
  version: number | null;
}

/** The tags that something gets: all of them (`tags`), or some added and some removed. */
export interface TagChange {
  tags: string[] | null;
  add: string[];
  remove: string[];
}

/** A tag, and how many things in sight have it. */
export interface TagUse {
  tag: string;
  count: number;
}

/** Which version a tag is to name. */
export interface TaggedVersion {
  /** Seven characters, another tag or `latest`. */
  version: string;
}

/** A group of people and all that is theirs. `name` is its namespace and never changes. */
export interface Team {
  kind: string;
  id: string;
  team: string;
  project: string | null;
  /** The user whose it is: who made it, until it is handed to another. */
  owner: string;
  /** Who made it, once that is not its owner any more. */
  author: string;
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
  description: string;
}

/** What may change in a team; what is left out stays. */
export interface TeamChange {
  description: string | null;
}

/** Whether a saved credential works, and what the other side said. */
export interface Tried {
  works: boolean;
  message: string;
}

/** Which contents are missing in the store, and how they get there. `direct`: the caller shares the disk, and writes below `folder`; `urls`: a signed URL for each (PUT with `headers`), or, for what is too large for one, the bytes of each part (`parts`) that it is sent in; `service`: through the service. */
export interface UploadPlan {
  how: "direct" | "urls" | "service";
  missing: string[];
  folder: string;
  urls: Record<string, unknown>;
  headers: Record<string, unknown>;
  parts: Record<string, unknown>;
}

/** What was found in a part of a version's files: while there is `more`, go on after `last`. */
export interface Verification {
  checked: number;
  /** Bytes that were read. */
  size: number;
  /** The last path that was looked at. */
  last: string;
  more: boolean;
  damaged: DamagedFile[];
}

/** Contents that somebody is about to send or to fetch. */
export interface Wanted {
  /** Bytes by MD5. */
  objects: Record<string, unknown>;
}

/** A content that somebody is about to send in parts of as many bytes as the plan says. */
export interface WantedParts {
  size: number;
  /** The MD5 of each part, in order. */
  parts: string[];
}

export const FINAL_STATES: readonly string[] = ["Succeeded", "Failed", "Error", "Canceled"];
