import { corePlugin } from './plugins/core';
import { notebookPlugin } from './plugins/notebook';
import { sidebarPlugin } from './plugins/sidebar';
import { tabsPlugin } from './plugins/tabs';

export default [corePlugin, sidebarPlugin, tabsPlugin, notebookPlugin];
