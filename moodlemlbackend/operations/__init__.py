"""Operations: what is done with a data set and a model, whoever asks."""
