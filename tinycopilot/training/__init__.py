"""How the network learns: corpus, batches, optimiser, and the loop. Imports `model`, and knows nothing of editors."""
