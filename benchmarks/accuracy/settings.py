"""Named settings of `ConvNetClassifier`: what was compared, and what the tables call it."""

SETTINGS = {
    "defaults": {},
}
