from time import perf_counter, process_time, sleep

from lambda_multiprocessing import Pool


def square(x):
    return x * x


def measure(name, clock, work):
    begin = clock()
    work()
    print(name, (clock() - begin) * 1000, sep="\t")


if __name__ == "__main__":
    begin = perf_counter()
    with Pool(2) as pool:
        pool.apply(square, (1,))
        print("from making the pool to its first result", (perf_counter() - begin) * 1000, sep="\t")
        measure("1,000 times apply, one after another", perf_counter, lambda: [pool.apply(square, (x,)) for x in range(1000)])
        measure("map of 10,000 items", perf_counter, lambda: pool.map(square, range(10_000)))
        measure("CPU time of the caller while a worker sleeps for 0.5 s", process_time, lambda: pool.apply(sleep, (0.5,)))
