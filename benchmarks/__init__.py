"""Speed, memory and size of sklearn_cnn, measured side by side with its peers; see README.md in this folder."""
