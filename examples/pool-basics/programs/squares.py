from lambda_multiprocessing import Pool


def square(x):
    return x * x


if __name__ == "__main__":
    with Pool() as pool:
        squares = pool.map(square, range(5))
    assert squares == [square(x) for x in range(5)]
    print("squares", *squares)
