// `npm run docs`: writes the site into docs/site. A warning is an error.
import { fileURLToPath } from 'node:url';
import { Application, OptionDefaults } from 'typedoc';
import { extendMarkdown } from './markdown.js';
import { plugin } from './plugin.js';

process.chdir(fileURLToPath(new URL('../../', import.meta.url)));

const app = await Application.bootstrapWithPlugins({
  name: 'logitcore',
  includeVersion: true,
  entryPoints: ['lib/index.ts', 'lib/promises.ts', 'lib/tfjs.ts', 'lib/cuda.ts'],
  tsconfig: 'tsconfig.lib.json',
  out: 'docs/site',
  readme: 'README.md',
  projectDocuments: [
    'docs/ops.md',
    'docs/architecture.md',
    'docs/numerics.md',
    'docs/cuda-bounds.md',
    'bench/results/table.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'SECURITY.md',
  ],
  plugin: [plugin],
  markdownItLoader: extendMarkdown,
  highlightLanguages: [...OptionDefaults.highlightLanguages, 'cpp'],
  favicon: 'scripts/docs/favicon.svg',
  customCss: 'scripts/docs/site.css',
  // The site says nothing about the machine it is made on.
  disableGit: true,
  disableSources: true,
  hideGenerator: true,
  githubPages: false,
  excludeInternal: true,
  searchInDocuments: true,
  sort: ['documents-first', 'kind', 'alphabetical-ignoring-documents'],
  sortEntryPoints: false,
  kindSortOrder: ['Function', 'Class', 'Interface', 'TypeAlias', 'Variable'],
  categorizeByGroup: false,
  includeHierarchySummary: false,
  navigation: { includeCategories: true, includeGroups: false, includeFolders: false },
  headings: { readme: false, document: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: {
    notExported: true,
    invalidLink: true,
    invalidPath: true,
    rewrittenLink: true,
    notDocumented: true,
    unusedMergeModuleWith: true,
  },
  requiredToBeDocumented: ['Class', 'Function', 'Interface', 'Method', 'TypeAlias', 'Variable'],
  // Helpers that compute types; their names say what they do.
  intentionallyNotExported: [
    ...['Exact', 'Numbers', 'Reduced', 'Simplify', 'When'],
    ...['AdaptedArguments', 'AnyOp', 'DifferentiableName', 'Native'],
    ...['Backward', 'OptionsOf', 'Results', 'Student', 'Targeted'],
    ...[
      'Collapse',
      'Linear',
      'LinearHeadJvp',
      'MarginRadius',
      'Policy',
      'Quantize',
      'QuantizeBackward',
    ],
  ],
});

const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
