"""From a site's analysables to features: indicators, targets, time splitting, and the analysis that runs them."""
