package spans

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// These constants bound what waits for a collector: 2,048 spans, of some two kilobytes each.
const (
	mostWaiting   = 2048
	batchSpans    = 512
	batchTimeout  = 2 * time.Second
	exportTimeout = 10 * time.Second
)

// queue bounds the spans that wait for a collector, and counts what becomes of them. A span that finds it full is
// dropped, so no call ever waits. The batches that the library makes of spans have a queue of their own, which is as
// long and therefore never full: it would drop without telling.
type queue struct {
	sdk.SpanProcessor // the library's
	waiting           atomic.Int64
	exported          atomic.Uint64
	failed            atomic.Uint64
	dropped           atomic.Uint64
	giveUp            context.CancelFunc // ends exports under way
}

func newQueue(to sdk.SpanExporter, log *slog.Logger) *queue {
	ctx, giveUp := context.WithCancel(context.Background())
	q := &queue{giveUp: giveUp}
	q.SpanProcessor = sdk.NewBatchSpanProcessor(&counting{SpanExporter: to, queue: q, log: log, closing: ctx},
		sdk.WithMaxQueueSize(mostWaiting), sdk.WithMaxExportBatchSize(batchSpans), sdk.WithBatchTimeout(batchTimeout),
		sdk.WithExportTimeout(exportTimeout))
	return q
}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if q.waiting.Add(1) > mostWaiting {
		q.waiting.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// failedOf returns how many spans of a batch a collector did not take, of which an export told by an error.
func failedOf(batch int, err error) int {
	var rejected rejectedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &rejected):
		return int(min(int64(rejected), int64(batch))) // a collector may say anything
	}
	return batch
}

// counting counts the spans of batches that are exported, and logs failures.
type counting struct {
	sdk.SpanExporter
	queue   *queue
	log     *slog.Logger
	closing context.Context
	told    time.Time // when the log last told of a failure
}

// betweenTold is the least time between two lines of the log about failures.
const betweenTold = time.Minute

// ExportSpans implements sdk.SpanExporter. The library calls it for one batch after the other. It returns no error,
// because whoever gets one can do no more than log it.
func (e *counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.closing, cancel)()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.queue.waiting.Add(-int64(len(spans)))
	failed := failedOf(len(spans), err)
	e.queue.exported.Add(uint64(len(spans) - failed))
	e.queue.failed.Add(uint64(failed))
	if err == nil {
		return nil
	}
	if now := time.Now(); now.Sub(e.told) >= betweenTold && e.closing.Err() == nil {
		e.told = now
		e.log.Warn("a collector does not take spans; calls are served as ever", "spans", failed,
			"error", fmt.Sprintf("%.200s", err))
	}
	return nil
}
