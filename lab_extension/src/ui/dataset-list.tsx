import { addIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState } from 'react';
import type { Dataset } from '../generated/api';
import { newest, type DatasetList } from '../model/datasets';
import type { ProjectsModel } from '../model/projects';
import type { Navigation } from '../panels/navigation';
import { bytes } from './format';
import { useModel } from './hooks';
import { NameForm } from './name-form';
import { Ago, Button, ErrorLine } from './parts';

export interface DatasetsProps {
  datasets: DatasetList;
  projects: ProjectsModel;
  nav: Navigation;
  trans: TranslationBundle;
}

/** A name, Enter, and the dataset's page is there. */
export function NewDataset(props: DatasetsProps & { onDone: () => void }) {
  const { datasets, projects, nav, trans, onDone } = props;
  const { team } = datasets;
  return (
    <NameForm
      mark="dataset"
      className="nabla-NewDataset"
      label={trans.__('Name of the new dataset')}
      placeholder={trans.__('Dataset name')}
      create={async name => {
        const { id } = await datasets.create(name);
        onDone();
        nav.openDataset(id);
      }}
      onDone={onDone}
      trans={trans}
    >
      <small className="nabla-Quiet">
        {team
          ? trans.__('in the team %1', projects.teamNames.get(team) ?? team)
          : trans.__('in your private team')}
      </small>
    </NameForm>
  );
}

/** What the newest version is, and how large. */
function detail(dataset: Dataset, trans: TranslationBundle): string {
  const { latest, size, files } = dataset;
  return latest
    ? trans._n(
        '%2 · %3 · %4 file',
        '%2 · %3 · %4 files',
        files,
        newest(dataset),
        bytes(size),
        files.toLocaleString()
      )
    : trans.__('no version yet');
}

/** The team's datasets as rows, or what a dataset is and how to make the first. */
export function DatasetRows(props: DatasetsProps) {
  const { datasets, nav, trans } = props;
  const [making, setMaking] = useState(false);
  useModel(datasets);
  useEffect(() => {
    const take = (): void => {
      if (datasets.take()) {
        setMaking(true);
      }
    };
    datasets.asked.connect(take);
    take();
    return () => {
      datasets.asked.disconnect(take);
    };
  }, [datasets]);
  const { items, ready } = datasets;
  return (
    <>
      <ErrorLine message={datasets.error} />
      {making && <NewDataset {...props} onDone={() => setMaking(false)} />}
      {ready && !items.length && !making && (
        <div className="nabla-Empty" data-nabla="no-datasets">
          <p>
            {trans.__(
              'A dataset keeps versions of files that never change, for notebooks and runs of the whole team.'
            )}
          </p>
          <p>
            <Button
              name="new-dataset"
              icon={addIcon}
              label={trans.__('New dataset')}
              onClick={() => setMaking(true)}
            />
          </p>
        </div>
      )}
      <ul data-nabla="dataset-list">
        {items.map(dataset => (
          <li className="nabla-Row" key={dataset.id} data-nabla="dataset-row" data-id={dataset.id}>
            <button
              type="button"
              className="nabla-Row-open"
              title={`${dataset.name} (${dataset.id})`}
              onClick={() => nav.openDataset(dataset.id)}
            >
              <i className="nabla-Dot" data-kind="dataset" />
              <span className="nabla-Row-name">{dataset.name}</span>
              <span className="nabla-Row-side">
                <Ago time={dataset.updated} trans={trans} />
              </span>
              <small>{detail(dataset, trans)}</small>
            </button>
          </li>
        ))}
      </ul>
      <div className="nabla-More nabla-DatasetVerbs">
        {items.length > 0 && !making && (
          <Button
            name="new-dataset"
            icon={addIcon}
            label={trans.__('New dataset')}
            onClick={() => setMaking(true)}
          />
        )}
        {!datasets.complete && items.length > 0 && (
          <Button
            name="more-datasets"
            label={trans.__('Show more')}
            onClick={() => void datasets.more()}
          />
        )}
        <button
          type="button"
          className="nabla-Link"
          data-nabla="open-catalogue"
          onClick={() => nav.openCatalogue()}
        >
          {trans.__('Public datasets')}
        </button>
      </div>
    </>
  );
}
