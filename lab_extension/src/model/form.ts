import type { KernelSpec } from '@jupyterlab/services';
import { Signal, type ISignal } from '@lumino/signaling';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ApiError, type Api, type PackedNotebook } from '../api/client';
import { DatasetRoutes } from '../api/datasets';
import type {
  Instances,
  NewRun,
  NotebookSummary,
  Parameter,
  Project,
  Run,
  Snapshot
} from '../generated/api';
import type { ProjectsModel } from './projects';
import { RunData, type DataOffer, type DataPlace } from './run-data';
import { ownText, parseField, writeField } from './values';

/** What the form was opened for: a notebook of the user's server, or a run to be run again. */
export type FormTarget = { path: string } | { rerun: string };

export interface Field {
  parameter: Parameter;
  text: string;
  /** What the form would send; undefined: leave the notebook's own value. */
  value: unknown;
  changed: boolean;
  error: string | null;
}

/** A variable of the run's environment. */
export interface Variable {
  name: string;
  value: string;
}

/** The run form: fields made from the notebook's parameters, and where the run shall go. */
export class FormModel {
  constructor(
    readonly target: FormTarget,
    private readonly _api: Api,
    readonly projects: ProjectsModel,
    readonly kernels: KernelSpec.IManager,
    private readonly _trans: TranslationBundle
  ) {
    const routes = new DatasetRoutes(_api);
    this.data = new RunData(routes, projects, _trans, () => this._emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  summary: NotebookSummary | null = null;
  snapshot: Snapshot | null = null;
  instances: Instances | null = null;
  fields: Field[] = [];
  env: readonly Variable[] = [];
  /** The versions of datasets that it reads, and the datasets that it makes versions of. */
  readonly data: RunData;
  /** The run that is run again. */
  source: Run | null = null;
  loading = true;
  submitting = false;
  error: string | null = null;

  instance = '';
  name = '';
  kernel = '';
  cellTimeout = '';
  timeout = '';
  project: string | null = null;

  get title(): string {
    const asked = 'path' in this.target ? this.target.path : '';
    const path = this.source?.spec.notebook ?? asked;
    return path.split('/').pop() ?? '';
  }

  get valid(): boolean {
    const times = [this.cellTimeout, this.timeout];
    return (
      this.fields.every(field => !field.error) &&
      times.every(time => !this.timeError(time)) &&
      this.data.valid &&
      this.env.every(({ name }) => !this.variableError(name))
    );
  }

  /** Pack the notebook's folder (or fetch the run), and ask what instances there are. */
  async load(): Promise<void> {
    this.loading = true;
    this.error = null;
    this._emit();
    try {
      const [, instances] = await Promise.all([
        'path' in this.target ? this._pack(this.target.path) : this._recall(this.target.rerun),
        this._api.instances(),
        this.kernels.ready
      ]);
      this.instances = instances;
      this.instance ||= instances.offers.find(offer => offer.default)?.instance.name ?? '';
      this.project ??= this.source?.project ?? this.projects.currentId;
    } catch (error) {
      this.error = (error as Error).message;
    }
    this.loading = false;
    this._emit();
  }

  /** Ask again what is free. */
  async refreshInstances(): Promise<void> {
    const answer = await this._api.instances().catch(() => null);
    if (answer) {
      this.instances = answer;
      this._emit();
    }
  }

  set(field: Field, text: string): void {
    field.text = text;
    this._check(field);
    this._emit();
  }

  reset(field: Field): void {
    this.set(field, ownText(field.parameter));
  }

  update(
    change: Partial<
      Pick<FormModel, 'instance' | 'name' | 'kernel' | 'cellTimeout' | 'timeout' | 'project'>
    >
  ): void {
    Object.assign(this, change);
    this._emit();
  }

  /** Change a variable, add one at the end, or (null) leave one out. */
  setVariable(index: number, variable: Variable | null): void {
    const others = this.env.filter((_, at) => at !== index);
    this.env = variable ? others.toSpliced(index, 0, variable) : others;
    this._emit();
  }

  /** Say what is wrong with the name of a variable, if anything; one without a name is not sent. */
  variableError(name: string): string | null {
    if (name && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      return this._trans.__('Letters, digits and _, and no digit first.');
    }
    return name && this.env.filter(other => other.name === name).length > 1
      ? this._trans.__('There is a variable of this name already.')
      : null;
  }

  /** Say what is wrong with a number of seconds, if anything. */
  timeError(text: string): string | null {
    return !text.trim() || Number(text) > 0
      ? null
      : this._trans.__('Give a number of seconds above 0, or nothing.');
  }

  /** Start the run; null when it could not be, and `error` or a field says why. */
  async submit(): Promise<Run | null> {
    if (this.submitting || this.loading || !this.valid) {
      return null;
    }
    this.submitting = true;
    this.error = null;
    this.data.forgive();
    try {
      return await (this.source ? this._rerun(this.source) : this._create());
    } catch (error) {
      this._blame(error as Error);
      return null;
    } finally {
      this.submitting = false;
      this._emit();
    }
  }

  /** The datasets that may be meant by `text`: of the team that the run will be in, and public ones. */
  async offers(place: DataPlace, text: string): Promise<DataOffer[]> {
    const { project, projects } = this;
    const team = projects.items.find(({ id }) => id === project)?.team ?? null;
    return this.data.offers(place, text, team);
  }

  async createProject(name: string): Promise<Project> {
    const project = await this.projects.create({ name });
    this.update({ project: project.id });
    return project;
  }

  private async _pack(path: string): Promise<void> {
    await this.projects.load();
    this.project ??= this.projects.currentId;
    const packed = await this._upload(path);
    this.summary = packed.summary;
    this._notebook = packed.notebook;
    this.snapshot = packed.snapshot;
    this.name = (packed.notebook.split('/').pop() ?? '').replace(/\.ipynb$/, '');
    this.kernel = packed.summary.kernel;
    this._setFields({});
  }

  /** Send the notebook's folder to the store of the project's team, if it is not there already. */
  private async _upload(path: string): Promise<PackedNotebook> {
    const { project } = this;
    const packed = await this._api.pack(path, project);
    this._packedFor = project;
    return packed;
  }

  private async _recall(id: string): Promise<void> {
    const [run] = await Promise.all([this._api.run(id), this.projects.load()]);
    this.source = run;
    this.name = run.name;
    this.instance = run.spec.instance;
    this.kernel = run.spec.kernel;
    this.project = run.project;
    this.data.recall(run);
    this.env = Object.entries(run.spec.env ?? {}).map(([name, value]) => ({ name, value }));
    this.summary = await this._api
      .runNotebook(id)
      .then(notebook => this._api.inspect(notebook, run.spec.notebook))
      .catch(() => null);
    this._setFields(run.spec.parameters);
    this.snapshot = run.snapshot ? await this._api.snapshot(run.snapshot) : null;
  }

  private _setFields(given: Record<string, unknown>): void {
    const known = this.summary?.parameters ?? [];
    const names = new Set(known.map(parameter => parameter.name));
    const unknown = Object.keys(given)
      .filter(name => !names.has(name))
      .map(name => bareParameter(name));
    this.fields = [...known, ...unknown].map(parameter => {
      const { name } = parameter;
      const field = { parameter, text: '', value: undefined, changed: false, error: null };
      field.text = name in given ? writeField(parameter, given[name]) : ownText(parameter);
      this._check(field);
      return field;
    });
  }

  private _check(field: Field): void {
    const parsed = parseField(field.parameter, field.text, this._trans);
    field.changed = field.text !== ownText(field.parameter);
    field.error = field.changed && 'error' in parsed ? parsed.error : null;
    field.value = field.changed && 'value' in parsed ? parsed.value : undefined;
  }

  private _parameters(): Record<string, unknown> {
    const given = this.fields.filter(field => field.value !== undefined);
    return Object.fromEntries(given.map(field => [field.parameter.name, field.value]));
  }

  private _environment(): Record<string, string> {
    const named = this.env.filter(({ name }) => name);
    return Object.fromEntries(named.map(({ name, value }) => [name, value]));
  }

  private async _create(): Promise<Run> {
    // Files are a team's: a run in another team's project works on a copy of its own.
    if ('path' in this.target && this.project !== this._packedFor) {
      const packed = await this._upload(this.target.path);
      this._notebook = packed.notebook;
      this.snapshot = packed.snapshot;
    }
    const body: NewRun = {
      notebook: this._notebook,
      snapshot: this.snapshot?.id ?? '',
      parameters: this._parameters(),
      env: this._environment(),
      inputs: this.data.written('inputs'),
      outputs: this.data.written('outputs'),
      kernel: this.kernel,
      instance: this.instance,
      project: this.project,
      name: this.name.trim() || null,
      cell_timeout: seconds(this.cellTimeout),
      timeout: seconds(this.timeout),
      origin: 'panel'
    };
    return this._api.createRun(body);
  }

  private _rerun(run: Run): Promise<Run> {
    const { instance } = this;
    return this._api.rerun(run.id, {
      parameters: this._parameters(),
      env: this._environment(),
      inputs: this.data.written('inputs'),
      outputs: this.data.written('outputs'),
      instance,
      origin: 'panel'
    });
  }

  private _blame(error: Error): void {
    const place = (error instanceof ApiError && error.problem.field) || '';
    if (this.data.blame(place, error.message)) {
      return;
    }
    const name = place.split('.').pop();
    const field = this.fields.find(({ parameter }) => parameter.name === name);
    if (field) {
      field.error = error.message;
    } else {
      this.error = error.message;
    }
  }

  private _emit(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _notebook = '';
  private _packedFor: string | null = null;
}

function seconds(text: string): number | null {
  return text.trim() ? Number(text) : null;
}

function bareParameter(name: string): Parameter {
  return { name, type: 'any', optional: true, default: null, source: '', help: '', choices: null };
}
