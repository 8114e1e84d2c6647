import { LabIcon } from '@jupyterlab/ui-components';

/** The ∇, drawn as strokes so that it is sharp at every size and follows the theme's icon colour. */
export const nablaIcon = new LabIcon({
  name: 'nabla-hub:nabla',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" fill-rule="evenodd" ' +
    'd="M2 4h20L12 21.5zm4.6 2.6L12.9 17l5.6-10.4z"/></svg>'
});
