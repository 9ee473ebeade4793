// Every kernel again, written from its formula in double with no thought of speed: what the fast ones are checked
// against. They take the same argument structs, so that a test calls both in the same way.
#pragma once

#include <starling/kernels/adamw.hpp>
#include <starling/kernels/attention.hpp>
#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/cross_entropy.hpp>
#include <starling/kernels/diagonal_scan.hpp>
#include <starling/kernels/discretise.hpp>
#include <starling/kernels/gated_scan.hpp>
#include <starling/kernels/gated_unit.hpp>
#include <starling/kernels/linear_attention.hpp>
#include <starling/kernels/long_convolution.hpp>
#include <starling/kernels/matrix_recurrence.hpp>
#include <starling/kernels/rms_norm.hpp>
#include <starling/kernels/rope.hpp>
#include <starling/kernels/selective_scan.hpp>
#include <starling/kernels/short_conv.hpp>

namespace starling::kernels::reference {

void run(const RmsNormForward<double>& a);
void run(const RmsNormBackward<double>& a);
void run(const GatedUnitForward<double>& a);
void run(const GatedUnitBackward<double>& a);
void run(const ShortConvForward<double>& a);
void run(const ShortConvBackward<double>& a);
void run(const SelectiveScanForward<double>& a);
void run(const SelectiveScanBackward<double>& a);
void run(const Rope<double>& a);
void run(const CrossEntropy<double>& a);
void run(const AttentionForward<double>& a);
void run(const AttentionBackward<double>& a);
void run(const AdamW<double>& a);
void run(const DiagonalScanForward<double>& a);
void run(const DiagonalScanBackward<double>& a);
void run(const GatedScanForward<double>& a);
void run(const GatedScanBackward<double>& a);
void run(const MatrixRecurrenceForward<double>& a);
void run(const MatrixRecurrenceBackward<double>& a);
void run(const LinearAttentionForward<double>& a);
void run(const LinearAttentionBackward<double>& a);
void run(const LongConvolutionForward<double>& a);
void run(const LongConvolutionBackward<double>& a);
void run(const Discretise<double>& a);
void run(const DiscretiseBackward<double>& a);
void run(const ComplexScanForward<double>& a);
void run(const ComplexScanBackward<double>& a);

}  // namespace starling::kernels::reference
