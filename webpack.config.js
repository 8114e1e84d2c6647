// What several panels use is one chunk, loaded with the first of them, so that no panel carries a copy of it.
module.exports = {
  optimization: {
    splitChunks: {
      chunks: 'async',
      cacheGroups: { shared: { name: 'shared', minChunks: 2, minSize: 0 } }
    }
  }
};
