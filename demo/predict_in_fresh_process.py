"""Load a pickled model and predict: what a program does that has never seen the training.

Usage: python predict_in_fresh_process.py MODEL.pickle IMAGES.npy PROBABILITIES.npy
"""

import pickle
import sys

import numpy as np

if __name__ == "__main__":
    model_file, images_file, probabilities_file = sys.argv[1:]
    # Unpickling runs code: load only files that you, or somebody you trust, have written.
    with open(model_file, "rb") as file:
        model = pickle.load(file)
    np.save(probabilities_file, model.predict_proba(np.load(images_file)))
